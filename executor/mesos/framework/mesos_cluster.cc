#include "executor/mesos/framework/mesos_cluster.h"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "executor/mesos/framework/master_finder.h"

namespace kartograph::executor {
namespace {

namespace asio = boost::asio;

// Calls `done` once, also where the one that was to do it is gone.
class AnswerOnce {
 public:
  using Done = std::function<void(absl::StatusOr<LogChunk>)>;
  explicit AnswerOnce(Done done) : done_(std::move(done)) {}
  ~AnswerOnce() {
    if (done_) done_(absl::UnavailableError("the service is stopping"));
  }
  void operator()(absl::StatusOr<LogChunk> chunk) {
    if (Done done = std::exchange(done_, nullptr)) done(std::move(chunk));
  }

 private:
  Done done_;
};

// All work is done on one thread, which owns the framework; what comes from others is posted to it.
class MesosCluster : public Cluster, public OfferControl, public LogReader {
 public:
  bool reads_blobs() const override { return true; }

  explicit MesosCluster(MesosClusterOptions options)
      : master_(std::move(options.master)), tls_(asio::ssl::context::tls_client) {
    options.framework.subscription.tls_context = &tls_;
    framework_.emplace(io_, std::move(options.framework),
                       [this](std::vector<ClusterEvent> events) { Notify(std::move(events)); });
  }
  ~MesosCluster() override {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] {
      framework_->Stop();
      io_.stop();
    });
    thread_.join();
  }

  absl::Status Prepare(const std::string& ca_file) {
    boost::system::error_code error;
    tls_.set_verify_mode(asio::ssl::verify_peer, error);
    if (ca_file.empty()) {
      tls_.set_default_verify_paths(error);
    } else {
      tls_.load_verify_file(ca_file, error);
    }
    if (error) {
      return absl::FailedPreconditionError(
          absl::StrCat("the authorities of ", ca_file.empty() ? "the system" : ca_file,
                       " cannot be read: ", error.message(), "; name a PEM file with --mesos-ca"));
    }
    return framework_->Prepare();
  }

  absl::Status Start(ClusterListener listener) override {
    listener_ = std::move(listener);
    absl::StatusOr<std::unique_ptr<mesos::MasterFinder>> finder =
        mesos::MakeMasterFinder(io_, master_, [this] { framework_->OnLeaderChanged(); });
    if (!finder.ok()) return finder.status();
    asio::post(io_, [this, finder = std::make_shared<std::unique_ptr<mesos::MasterFinder>>(
                               *std::move(finder))] { framework_->Start(std::move(*finder)); });
    thread_ = std::thread([this] {
      const auto work = asio::make_work_guard(io_);
      io_.run();
    });
    return absl::OkStatus();
  }

  void Execute(std::vector<Launch> launches) override {
    asio::post(io_, [this, launches = std::move(launches)]() mutable {
      framework_->Execute(std::move(launches));
    });
  }
  void Cancel(planner::AttemptId attempt, const AgentId& agent, absl::Duration grace) override {
    asio::post(io_, [=, this] { framework_->Cancel(attempt, agent, grace); });
  }
  void Acknowledge(const std::vector<planner::AttemptId>& attempts) override {
    asio::post(io_, [=, this] { framework_->Acknowledge(attempts); });
  }
  void Reconcile(std::vector<KnownAttempt> attempts) override {
    asio::post(io_, [this, attempts = std::move(attempts)] { framework_->Reconcile(attempts); });
  }
  void Discard(planner::GraphId graph) override {
    asio::post(io_, [=, this] { framework_->Discard(graph); });
  }

  OfferControl* offers() override { return this; }
  void Decline(const std::vector<OfferId>& offers) override {
    asio::post(io_, [=, this] { framework_->Decline(offers); });
  }
  void Suppress() override {
    asio::post(io_, [this] { framework_->Suppress(); });
  }
  void Revive(const std::vector<planner::ResourceVector>& wanted) override {
    asio::post(io_, [=, this] { framework_->Revive(wanted); });
  }

  LogReader* logs() override { return this; }
  void ReadLog(const LogRequest& request,
               std::function<void(absl::StatusOr<LogChunk>)> done) override {
    auto answer = std::make_shared<AnswerOnce>(std::move(done));
    asio::post(io_, [=, this] {
      framework_->ReadLog(
          request, [answer](absl::StatusOr<LogChunk> chunk) { (*answer)(std::move(chunk)); });
    });
  }
  std::string SandboxOf(planner::AttemptId attempt, const AgentId& agent) override {
    return framework_->SandboxOf(attempt, agent);
  }

 private:
  // What came with one read is passed on together: the scheduler wakes up, and commits, once for
  // it.
  void Notify(std::vector<ClusterEvent> events) {
    if (to_tell_.empty()) asio::post(io_, [this] { listener_(std::exchange(to_tell_, {})); });
    std::move(events.begin(), events.end(), std::back_inserter(to_tell_));
  }

  const mesos::MasterAddress master_;
  asio::ssl::context tls_;
  ClusterListener listener_;
  std::vector<ClusterEvent> to_tell_;
  asio::io_context io_{1};
  std::optional<mesos::Framework> framework_;  // destroyed before io_, which it uses
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Cluster>> CreateMesosCluster(MesosClusterOptions options) {
  const std::string ca_file = options.ca_file;
  auto cluster = std::make_unique<MesosCluster>(std::move(options));
  if (absl::Status status = cluster->Prepare(ca_file); !status.ok()) return status;
  return cluster;
}

}  // namespace kartograph::executor
