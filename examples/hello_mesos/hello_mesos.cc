// The smallest framework: registers at a Mesos master, launches tasks that say hello, shows what
// becomes of them and what they said, and leaves. See README.md.
#include <pwd.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "executor/mesos/framework/mesos_cluster.h"
#include "executor/payload.pb.h"

namespace kartograph::hello_mesos {
namespace {

using executor::AttemptUpdate;
using executor::Cluster;
using executor::ClusterEvent;
using planner::AttemptId;
using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;

constexpr planner::GraphId kGraph = 1;
// A task that was lost this often, such as where its executor cannot be started, is given up.
constexpr uint32_t kMaxLaunches = 3;

// What Mesos calls 0.1 cpus and 10 mem.
ResourceVector NeedOfATask() {
  return {{Resource::Cpu(), Quantity::FromMilli(100)}, {Resource::Ram(), Quantity::Of(10 << 20)}};
}

template <typename... Words>
void Say(const Words&... words) {
  std::puts(absl::StrCat(words...).c_str());
  std::fflush(stdout);
}

// Events come on the cluster's thread; all else happens there too, as none of a cluster's calls
// blocks.
class Hello {
 public:
  explicit Hello(int tasks) : left_(tasks) {
    for (int task = 0; task < tasks; ++task) {
      waiting_.push_back(AttemptId::Of(planner::TaskKey::Of(kGraph, task), 1));
    }
  }

  absl::Status Start(Cluster* cluster) {
    cluster_ = cluster;
    return cluster->Start([this](std::vector<ClusterEvent> events) {
      for (ClusterEvent& event : events) {
        std::visit([this](auto& what) { On(what); }, event);
      }
    });
  }

  // Until every task has ended, or Stop. Whether all have said hello.
  bool Wait() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](Hello* hello) { return hello->left_ == 0 || hello->stopped_; }, this));
    return left_ == 0 && mute_ == 0;
  }
  void Stop() {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }

 private:
  void On(executor::Connected& connected) {
    Say("registered: ", connected.description);
    // What was launched before the connection broke is reconciled; each answer is an update.
    std::vector<Cluster::KnownAttempt> known;
    for (const auto& [attempt, agent] : launched_) known.push_back({attempt, agent});
    if (!known.empty()) cluster_->Reconcile(std::move(known));
    if (!waiting_.empty()) cluster_->offers()->Revive({NeedOfATask()});
  }
  void On(executor::Disconnected& disconnected) { Say("no connection: ", disconnected.reason); }

  // An offer is used once: what is launched on it is launched by one call, and the rest of it is
  // offered again.
  void On(executor::Offer& offer) {
    std::vector<executor::Launch> launches;
    while (!waiting_.empty() && NeedOfATask().FitsIn(offer.resources)) {
      offer.resources -= NeedOfATask();
      launches.push_back(LaunchOf(waiting_.front(), offer.agent));
      launched_[waiting_.front()] = offer.agent;
      waiting_.pop_front();
      Say(launches.back().task_name, ": launched on ", offer.agent_name);
    }
    if (launches.empty()) {
      cluster_->offers()->Decline({offer.id});
    } else {
      cluster_->Execute(std::move(launches));
    }
    if (waiting_.empty()) cluster_->offers()->Suppress();
  }

  void On(AttemptUpdate& update) {
    const std::string name = NameOf(update.attempt);
    if (update.outcome == planner::Outcome::kNone) {
      const char* state = update.unreachable ? "unreachable" : "running";
      if (std::exchange(states_[update.attempt], state) != state) Say(name, ": ", state);
      return;
    }
    // Ends are repeated until they are acknowledged.
    if (launched_.erase(update.attempt) == 0) return;
    Say(name, ": ", planner::ToString(update.outcome), update.message.empty() ? "" : ": ",
        update.message);
    if (!planner::SpendsAttempt(update.outcome)) return Again(update.attempt);
    executor::LogRequest log;
    log.attempt = update.attempt;
    log.agent = update.agent;
    cluster_->logs()->ReadLog(log, [this, name, attempt = update.attempt](
                                       const absl::StatusOr<executor::LogChunk>& chunk) {
      Say(name, " said: ", chunk.ok() ? chunk->data : chunk.status().ToString());
      cluster_->Acknowledge({attempt});
      Done(chunk.ok());
    });
  }

  // This program need not know what agents have beside their offers, or no longer have.
  void On(executor::OfferRescinded&) {}
  void On(executor::AgentUnreachable&) {}
  void On(executor::AgentCapacity&) {}
  void On(executor::HostReport&) {}
  void On(executor::AgentLost& lost) {
    std::vector<AttemptId> attempts;
    for (const auto& [attempt, agent] : launched_) {
      if (agent == lost.agent) attempts.push_back(attempt);
    }
    for (const AttemptId attempt : attempts) {
      launched_.erase(attempt);
      Again(attempt);
    }
  }

  // It was not the task's doing, so it gets another attempt, with an id of its own.
  void Again(AttemptId attempt) {
    cluster_->Acknowledge({attempt});
    if (attempt.number() == kMaxLaunches) return Done(false);
    waiting_.push_back(AttemptId::Of(attempt.task(), attempt.number() + 1));
    cluster_->offers()->Revive({NeedOfATask()});
  }

  void Done(bool said_hello) {
    absl::MutexLock lock(&mutex_);
    --left_;
    if (!said_hello) ++mute_;
  }

  static std::string NameOf(AttemptId attempt) {
    return absl::StrCat("hello-", attempt.task().index());
  }
  static executor::Launch LaunchOf(AttemptId attempt, const executor::AgentId& agent) {
    executor::Launch launch;
    launch.attempt = attempt;
    launch.agent = agent;
    launch.task_name = NameOf(attempt);
    launch.consumption = NeedOfATask();
    executor::Payload payload;
    // Long enough to be seen running: of what ends at once the executor reports only the end.
    payload.set_shell("printf 'Hello, Mesos, from a task on %s' \"$(hostname)\"; sleep 0.2");
    launch.payload = payload.SerializeAsString();
    return launch;
  }

  Cluster* cluster_ = nullptr;
  std::deque<AttemptId> waiting_;
  std::map<AttemptId, executor::AgentId> launched_;
  std::map<AttemptId, std::string> states_;
  absl::Mutex mutex_;
  int left_;
  int mute_ = 0;
  bool stopped_ = false;
};

executor::MesosClusterOptions Options(const std::string& executor, const std::string& folder) {
  executor::MesosClusterOptions options;
  executor::mesos::FrameworkOptions& framework = options.framework;
  framework.name = "hello";
  const passwd* user = getpwuid(geteuid());
  framework.user = user != nullptr ? user->pw_name : "root";
  char host[256] = "";
  if (gethostname(host, sizeof(host) - 1) == 0) framework.hostname = host;  // for people
  // Mesos removes the framework, and ends what is left of it, as soon as it leaves. Whoever wants
  // to find tasks again gives a longer time, and keeps the file.
  framework.failover_timeout = absl::ZeroDuration();
  framework.id_file = absl::StrCat(folder, "/framework");
  (absl::StrContains(executor, "://") ? framework.executors.url : framework.executors.path) =
      executor;
  framework.executors.resources = {{Resource::Cpu(), Quantity::FromMilli(10)},
                                   {Resource::Ram(), Quantity::Of(32 << 20)}};
  return options;
}

int Run(executor::MesosClusterOptions options, int tasks) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto cluster = executor::CreateMesosCluster(std::move(options));
  Hello hello(tasks);
  const absl::Status started =
      cluster.ok() ? hello.Start(cluster->get()) : absl::Status(cluster.status());
  if (!started.ok()) {
    std::fprintf(stderr, "hello_mesos: %s\n", std::string(started.message()).c_str());
    return 1;
  }
  std::thread waiter([&] {
    int number = 0;
    sigwait(&signals, &number);
    hello.Stop();
  });
  const bool done = hello.Wait();
  kill(getpid(), SIGTERM);  // for the thread that waits for it
  waiter.join();
  cluster->reset();
  Say(done ? "everyone said hello" : "not everyone said hello");
  return done ? 0 : 1;
}

}  // namespace
}  // namespace kartograph::hello_mesos

int main(int argc, char** argv) {
  std::string master = "http://127.0.0.1:5050";
  std::string executor = (std::filesystem::read_symlink("/proc/self/exe").parent_path() /
                          "../../executor/mesos/executor/kartograph-executor")
                             .lexically_normal();
  int tasks = 5;
  CLI::App app("Says hello on Mesos.");
  app.add_option("--master", master, "http://HOST:PORT or zk://HOST:PORT/PATH")
      ->capture_default_str();
  app.add_option("--tasks", tasks, "How many tasks say hello")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--executor", executor,
                 "kartograph-executor: its path on the agents, or a URL they fetch it from")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("hello_mesos"));
  spdlog::set_level(spdlog::level::warn);

  const auto address = kartograph::executor::mesos::ParseMasterAddress(master);
  std::string folder = "/tmp/hello_mesos.XXXXXX";
  if (!address.ok() || mkdtemp(folder.data()) == nullptr) {
    std::fprintf(stderr, "hello_mesos: %s\n",
                 address.ok() ? "cannot make a folder in /tmp"
                              : std::string(address.status().message()).c_str());
    return 2;
  }
  kartograph::executor::MesosClusterOptions options =
      kartograph::hello_mesos::Options(executor, folder);
  options.master = *address;
  const int status = kartograph::hello_mesos::Run(std::move(options), tasks);
  std::filesystem::remove_all(folder);
  return status;
}
