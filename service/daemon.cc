#include "service/daemon.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/state_folder.h"
#include "base/version.h"
#include "executor/lineage.h"
#include "executor/local/detect_resources.h"
#include "executor/local/left_sandboxes.h"
#include "executor/local/local_cluster.h"
#include "executor/mesos/framework/mesos_cluster.h"
#include "scheduler/scheduler.h"
#include "service/access/page_sessions.h"
#include "service/access/tls.h"
#include "service/access/token.h"
#include "service/access/users.h"
#include "service/blob_store.h"
#include "service/bounded_log_reader.h"
#include "service/change_hub.h"
#include "service/config/mesos_options.h"
#include "service/find_program.h"
#include "service/grpc/grpc_server.h"
#include "service/http/event_feed.h"
#include "service/http/http_api.h"
#include "service/http/http_gate.h"
#include "service/http/http_server.h"
#include "service/http/web_files.h"
#include "service/late_answer.h"
#include "service/queries.h"
#include "service/start_line.h"
#include "service/worker_pool.h"
#include "storage/file_system.h"
#include "storage/history.h"
#include "storage/state_lock.h"

namespace kartograph::service {
namespace {

namespace fs = std::filesystem;

// Ids that are left out after a part of the history was lost.
constexpr planner::GraphId kSkippedGraphs = 1000;
constexpr int64_t kSkippedDeliveries = 1'000'000;
constexpr int kWorkers = 4;
constexpr int kLogWorkers = 8;  // more than one agent can hold (see BoundedLogReader)
constexpr int kBlobWorkers = 2;
// Between rounds of looking for blobs that are not needed, and within one.
constexpr absl::Duration kSweepEvery = absl::Minutes(10);
constexpr absl::Duration kSweepPause = absl::Seconds(1);
constexpr absl::Duration kReloadPatience = absl::Seconds(10);
constexpr absl::Duration kShutdownGrace = absl::Seconds(2);
constexpr absl::Duration kTlsWarning = absl::Hours(24 * 14);  // before a certificate's end
constexpr char kAgentName[] = "kartograph-local-agent";

std::string SystemError(int error) { return std::strerror(error); }

std::string HistoryIn(absl::string_view state) { return absl::StrCat(state, "/history.sqlite"); }
std::string MarkIn(absl::string_view state) { return absl::StrCat(state, "/history.mark"); }

// What a setting names is not there, or is not what it should be.
absl::Status Misconfigured(const absl::Status& status) {
  return status.ok() ? status : absl::InvalidArgumentError(status.message());
}

// The folder as an absolute path, made where it is missing. InvalidArgument where it cannot be
// used.
absl::StatusOr<std::string> PrepareState(const std::string& state) {
  std::error_code error;
  const fs::path path = fs::absolute(state, error).lexically_normal();
  const auto problem = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("state folder ", path.string(), ": ", what));
  };
  if (error) return problem(error.message());
  if (!fs::exists(path, error)) {
    if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
    if (!error && mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      error.assign(errno, std::generic_category());
    }
    if (error) {
      const absl::Status status =
          problem(absl::StrCat("cannot be made: ", error.message(), "; name another with --state"));
      const bool full = error == std::errc::no_space_on_device;
      return full ? absl::ResourceExhaustedError(status.message()) : status;
    }
  }
  if (!fs::is_directory(path, error)) {
    return problem("is not a folder; name another with --state");
  }
  if (access(path.c_str(), R_OK | W_OK | X_OK) != 0) {
    return problem(absl::StrCat("cannot be written: ", SystemError(errno),
                                "; make it writable or name another with --state"));
  }
  // Said later, too, but not as a wrong setting.
  if (absl::Status status = storage::CheckFileSystem(HistoryIn(path.string())); !status.ok()) {
    return Misconfigured(status);
  }
  return path.string();
}

absl::Status CheckAddress(const Address& address, absl::string_view flag) {
  absl::Status status = CheckCanListen(address);
  if (status.ok()) return status;
  const absl::Status problem = absl::UnavailableError(absl::StrCat(
      "cannot listen on ", address.ToString(), ": ", std::string(status.message()),
      "; choose another address with ", flag, " HOST:PORT (port 0 picks a free port)"));
  // Whatever else is in the way may go: another program, a network that is not up yet.
  return absl::IsPermissionDenied(status) ? Misconfigured(problem) : problem;
}

planner::ResourceVector Offered(const ServiceConfig& config) {
  planner::ResourceVector resources = executor::DetectResources();
  if (config.cpu) resources.Set(planner::Resource::Cpu(), *config.cpu);
  if (config.ram) resources.Set(planner::Resource::Ram(), *config.ram);
  for (const auto& entry : config.resources) resources.Set(entry.resource, entry.quantity);
  return resources;
}

std::vector<planner::Resource> Indexed(const ServiceConfig& config) {
  if (config.mesos_master) return config.mesos.indexed;
  std::vector<planner::Resource> indexed;
  for (const auto& [resource, names] : config.instances) indexed.push_back(resource);
  return indexed;
}

// What is wrong with a part, with the state folder named in any case.
absl::Status InState(const absl::Status& status, const std::string& state) {
  if (absl::StrContains(status.message(), state)) return status;
  return absl::Status(status.code(),
                      absl::StrCat("state folder ", state, ": ", std::string(status.message())));
}

// By the names under which the scheduler has them: the service's own user has none.
planner::FairShare::Weights Weights(const ServiceConfig& config, const std::string& owner) {
  planner::FairShare::Weights weights;
  for (const auto& [name, weight] : config.shares) weights[name == owner ? "" : name] = weight;
  return weights;
}

planner::FairShare::Caps Caps(const ServiceConfig& config, const std::string& owner) {
  planner::FairShare::Caps caps;
  for (const auto& [name, cap] : config.limits) caps[name == owner ? "" : name] = cap;
  return caps;
}

scheduler::Retention Kept(const ServiceConfig& config) {
  scheduler::Retention retention;
  retention.age = config.retention;
  if (config.retention_graphs) retention.graphs = *config.retention_graphs;
  if (config.retention_bytes) retention.bytes = *config.retention_bytes;
  return retention;
}

void LogPruned(const scheduler::Pruned& pruned) {
  static constexpr absl::string_view kSettings[] = {"retention", "retention-graphs",
                                                    "retention-bytes"};  // by limit
  const std::string first = planner::GraphIdToString(pruned.graphs.front());
  spdlog::info(
      "--{}: removed {}", std::string(kSettings[static_cast<int>(pruned.limit)]),
      pruned.graphs.size() == 1
          ? absl::StrCat("1 graph, ", first)
          : absl::StrCat(pruned.graphs.size(), " graphs, from ", first, ", which ended first, to ",
                         planner::GraphIdToString(pruned.graphs.back())));
}

void LogPoolChange(const scheduler::PoolChange& change) {
  const std::string after = change.after.is_zero() ? "gone" : change.after.ToString();
  if (change.overruled) {
    spdlog::warn("pool {}: its setting was changed, so what was set at run time is over: {}",
                 change.pool, after);
  } else {
    spdlog::info("pool {} was set at run time by {}: {} -> {}", change.pool, change.by,
                 change.before.is_zero() ? "new" : change.before.ToString(), after);
  }
}

// "db_connections=40 tapes=2 (set at run time)"
std::string PoolsInWords(const std::vector<scheduler::PoolExplanation>& pools) {
  std::vector<std::string> words;
  for (const scheduler::PoolExplanation& pool : pools) {
    words.push_back(absl::StrCat(pool.pool.name, "=", pool.pool.capacity.ToString(),
                                 pool.set ? " (set at run time)" : ""));
  }
  return words.empty() ? "none" : absl::StrJoin(words, " ");
}

class DaemonImpl final : public Daemon {
 public:
  explicit DaemonImpl(ServiceConfig config) : config_(std::move(config)) {}
  ~DaemonImpl() override { Stop(false); }

  absl::Status Begin() {
    // What can fail without leaving a trace comes first.
    if (absl::Status status = CheckAddresses(); !status.ok()) {
      // A second start with the same settings: what is in its way is the first one, not the port.
      const absl::Status in_use = storage::StateLock::CheckFree(HistoryIn(config_.state));
      return in_use.ok() ? status : in_use;
    }
    if (absl::Status status = PrepareTls(); !status.ok()) return Misconfigured(status);
    const absl::StatusOr<std::string> state = PrepareState(config_.state);
    if (!state.ok()) return state.status();
    if (absl::Status status = PrepareAccess(*state); !status.ok()) return InState(status, *state);
    absl::StatusOr<ClusterMaker> make_cluster = PrepareCluster(*state);
    if (!make_cluster.ok()) return Misconfigured(make_cluster.status());
    absl::Status status = Open(*state, *make_cluster);
    if (!status.ok()) return InState(status, *state);
    return Listen();
  }

  std::string Addresses() const override {
    const std::string grpc =
        config_.grpc.host.empty() ? absl::StrCat("unix:", socket_) : grpc_address_.ToString();
    return absl::StrCat("grpc=", grpc, " http=", http_address_.ToString());
  }

  absl::Status Check() override {
    LogStart(Clock::System().SteadyNow());
    grpc_->SetServing(HttpApi::Health(*scheduler_).ok());
    api_->LookAtCluster();
    const absl::Status write = scheduler_->write_error();
    if (write.ok() != could_write_) {
      could_write_ = write.ok();
      if (could_write_) {
        spdlog::info("the run history can be written again");
      } else {
        spdlog::error(std::string(write.message()));
      }
    }
    return scheduler_->fatal_error();
  }

  void StopWaiting() override { scheduler_->Stop(false); }

  absl::Status Reload(const ServiceConfig& config) override {
    const std::string users_before = UsersInWords();
    if (absl::Status status = users_->Reload(); !status.ok()) return status;
    if (const std::string users = UsersInWords(); users != users_before) {
      spdlog::info("the users were read again: {}; before: {}", users, users_before);
    }
    auto done = std::make_shared<LateAnswer<absl::Status>>();
    scheduler_->Submit(
        scheduler::Reconfigure{config.pools, static_cast<int>(config.slots), Kept(config),
                               Weights(config, users_->owner_name()),
                               Caps(config, users_->owner_name()), config.preempt_after},
        [done](const absl::StatusOr<scheduler::Reply>& reply) { done->Give(reply.status()); });
    const std::optional<absl::Status> status =
        done->WaitUntil(Clock::System().SteadyNow() + kReloadPatience);
    if (!status) return absl::UnavailableError("the scheduler does not answer; try again");
    if (!status->ok()) return *status;
    spdlog::set_level(spdlog::level::from_str(config.log_level));
    cluster_->ReopenLogs();
    LogReload(config);
    applied_ = config;
    return absl::OkStatus();
  }

  void Stop(bool drain) override {
    if (std::exchange(stopped_, true)) return;
    if (grpc_ != nullptr) grpc_->SetServing(false);
    LogStart(SteadyTime::InfiniteFuture());
    // Until it has stopped, what it does can still be watched.
    if (scheduler_ != nullptr) scheduler_->Stop(drain);
    if (hub_ != nullptr) hub_->Stop();
    if (grpc_ != nullptr) grpc_->Shutdown(kShutdownGrace);
    if (http_ != nullptr) http_->Stop();
    if (workers_ != nullptr) workers_->Stop();
    if (log_workers_ != nullptr) log_workers_->Stop();
    if (blob_workers_ != nullptr) blob_workers_->Stop();
    if (probes_ != nullptr) probes_->Stop();
  }

 private:
  // Of the history whose attempts it is to have.
  using ClusterMaker =
      std::function<absl::StatusOr<std::unique_ptr<executor::Cluster>>(executor::Lineage)>;

  absl::Status CheckAddresses() const {
    if (!config_.grpc.host.empty()) {
      if (absl::Status status = CheckAddress(config_.grpc, "--grpc"); !status.ok()) return status;
    }
    return CheckAddress(config_.http, "--http");
  }

  absl::Status PrepareTls() {
    const AccessConfig& access = config_.access;
    if (access.tls_certificate.empty()) return absl::OkStatus();
    absl::StatusOr<Tls> tls = ReadTls(access.tls_certificate, access.tls_key, access.tls_client_ca);
    if (!tls.ok()) return tls.status();
    tls_ = *std::move(tls);
    if (tls_->end < absl::Now() + kTlsWarning) {
      spdlog::warn("the certificate in {} {} on {}: clients refuse it from then on",
                   access.tls_certificate, tls_->end < absl::Now() ? "has ended" : "ends",
                   absl::FormatTime("%Y-%m-%d", tls_->end, absl::UTCTimeZone()));
    }
    return absl::OkStatus();
  }

  absl::Status PrepareAccess(const std::string& state) {
    absl::StatusOr<std::string> token = LoadOrMakeToken(state);
    if (!token.ok()) return token.status();
    token_ = *std::move(token);
    absl::StatusOr<std::unique_ptr<Users>> users =
        Users::Open({.file = absl::StrCat(state, "/users"), .owner = UserName(), .token = token_});
    if (!users.ok()) return users.status();
    users_ = *std::move(users);
    sessions_ = std::make_unique<PageSessions>(token_);
    socket_ = SocketPath(state);
    return MakeSocketFolder(state);
  }

  // Finds out what can be wrong without a history.
  absl::StatusOr<ClusterMaker> PrepareCluster(const std::string& state) {
    if (config_.mesos_master) {
      absl::StatusOr<MesosOptions> options = MakeMesosOptions(config_, state, token_);
      if (!options.ok()) return options.status();
      served_.executor = std::move(options->executor);
      served_.executor_path = std::move(options->executor_path);
      return ClusterMaker([cluster = std::move(options->cluster)](executor::Lineage lineage) {
        executor::MesosClusterOptions own = cluster;
        own.framework.lineage = std::move(lineage);
        return executor::CreateMesosCluster(std::move(own));
      });
    }
    executor::LocalClusterOptions options;
    options.state_dir = state;
    if (config_.agent_binary != kNoAgentBinary) {
      absl::StatusOr<std::string> agent =
          FindProgram(kAgentName, "executor/local", config_.agent_binary, "--agent-binary");
      if (!agent.ok()) return agent.status();
      options.agent_binary = *std::move(agent);
    }
    options.resources = Offered(config_);
    options.instances = config_.instances;
    options.attributes.assign(config_.attributes.begin(), config_.attributes.end());
    options.disk_limits = config_.disk_limits;
    options.ram_headroom = config_.ram_headroom;
    options.slots = static_cast<int>(config_.slots);
    options.on_agent = [this](const std::string& agent) {
      if (start_line_.OnAgent(agent)) {
        LogStart(Clock::System().SteadyNow());
      } else {
        spdlog::info("local cluster: {}", agent);
      }
    };
    return ClusterMaker([options](executor::Lineage lineage) {
      executor::LocalClusterOptions own = options;
      own.lineage = std::move(lineage);
      return executor::CreateLocalCluster(std::move(own));
    });
  }

  absl::Status Open(const std::string& state, const ClusterMaker& make_cluster) {
    absl::StatusOr<storage::History> history =
        storage::OpenHistory({.path = HistoryIn(state), .mark = MarkIn(state)});
    if (!history.ok()) return history.status();
    history_ = *std::move(history);
    scheduler::SchedulerOptions scheduling;
    if (absl::Status status = CheckHistoryIsWhole(state, scheduling); !status.ok()) return status;
    auto cluster = make_cluster({history_.identity.history, history_.identity.incarnations});
    if (!cluster.ok()) return cluster.status();
    cluster_ = *std::move(cluster);

    scheduling.pools = config_.pools;
    scheduling.weights = Weights(config_, users_->owner_name());
    scheduling.caps = Caps(config_, users_->owner_name());
    scheduling.preempt_after = config_.preempt_after;
    scheduling.max_graph_tasks = config_.max_graph_tasks;
    scheduling.retention = Kept(config_);
    scheduling.on_pruned = LogPruned;
    scheduling.on_pool_changed = LogPoolChange;
    scheduling.max_waiters = config_.max_waiting;
    scheduling.slots = static_cast<int>(config_.slots);
    scheduling.search_schedules = config_.search_schedules;
    scheduling.search_tasks = config_.search_tasks;
    scheduling.indexed = Indexed(config_);
    auto scheduler = scheduler::Scheduler::Start(std::move(scheduling), history_.writer.get(),
                                                 history_.long_reader.get(), cluster_.get());
    if (!scheduler.ok()) return scheduler.status();
    scheduler_ = *std::move(scheduler);
    return cluster_->reads_blobs() ? OpenBlobs(state) : absl::OkStatus();
  }

  absl::Status OpenBlobs(const std::string& state) {
    BlobStore::Options options;
    options.folder = absl::StrCat(state, "/blobs");
    options.max_blob_bytes = config_.max_blob_bytes;
    options.disk_reserve = config_.disk_limits.reserve;
    absl::StatusOr<std::unique_ptr<BlobStore>> blobs = BlobStore::Open(std::move(options));
    if (!blobs.ok()) return blobs.status();
    blobs_ = *std::move(blobs);
    return absl::OkStatus();
  }

  void SweepBlobs() {
    const absl::StatusOr<bool> more = blobs_->Sweep(*history_.reader);
    if (!more.ok()) {
      spdlog::warn("cannot look for blobs that are not needed: {}",
                   std::string(more.status().message()));
    }
    blob_workers_->PostAfter(more.ok() && *more ? kSweepPause : kSweepEvery,
                             [this] { SweepBlobs(); });
  }

  // Refuses a history that lacks graphs of which there are traces here.
  absl::Status CheckHistoryIsWhole(const std::string& state,
                                   scheduler::SchedulerOptions& scheduling) {
    const planner::GraphId ran = executor::NewestGraphWithSandbox(state);
    absl::StatusOr<planner::GraphId> last = history_.writer->LastGraphId();
    if (!last.ok()) return last.status();
    if (ran <= *last && history_.lost.empty()) {
      return history_.writer->KeepMark(MarkIn(state), history_.identity);
    }
    const std::string lost = absl::StrCat(
        "the run history ends with ",
        *last == 0 ? "nothing" : absl::StrCat("graph ", planner::GraphIdToString(*last)), ", but ",
        ran > *last
            ? absl::StrCat(state, "/sandboxes has graphs up to ", planner::GraphIdToString(ran))
            : absl::StrCat(history_.lost, ", says ", MarkIn(state)));
    if (!config_.accept_lost_history) {
      return absl::FailedPreconditionError(absl::StrCat(
          lost,
          ": its newest part is lost. Was history.sqlite-wal removed, or an older copy put back? "
          "Put the newest files back, or go on without what is lost: --accept-lost-history"));
    }
    spdlog::warn("{}; going on without what is lost", lost);
    // Graphs that were submitted and had not begun may have left no trace: their ids are left out.
    scheduling.last_graph_at_least = std::max({ran, history_.lost_graph, *last}) + kSkippedGraphs;
    absl::StatusOr<int64_t> delivery = history_.writer->LastDeliveryId();
    if (!delivery.ok()) return delivery.status();
    scheduling.last_delivery_at_least = *delivery + kSkippedDeliveries;
    return history_.writer->KeepMark(MarkIn(state), history_.identity);
  }

  absl::Status Listen() {
    const absl::Time now = absl::Now();
    workers_ = std::make_unique<WorkerPool>(kWorkers);
    log_workers_ = std::make_unique<WorkerPool>(kLogWorkers, 1000);
    blob_workers_ = std::make_unique<WorkerPool>(kBlobWorkers);
    if (blobs_ != nullptr) blob_workers_->PostAfter(kSweepEvery, [this] { SweepBlobs(); });
    probes_ = std::make_unique<WorkerPool>(1);
    logs_ = std::make_unique<BoundedLogReader>(BoundedLogReader::Options(), cluster_->logs());
    queries_ = std::make_unique<Queries>(
        Queries::Options{.version = kVersion, .start_time = now, .owner = users_->owner_name()},
        scheduler_.get(), history_.reader, logs_.get());
    hub_ = std::make_unique<ChangeHub>(scheduler_.get(), workers_.get());
    feed_ = std::make_unique<EventFeed>(EventFeed::Options(), scheduler_.get(), queries_.get(),
                                        log_workers_.get());
    ServiceParts parts;
    parts.limits = std::make_shared<ServiceLimits>(config_.max_streams);
    parts.scheduler = scheduler_.get();
    parts.logs = logs_.get();
    parts.queries = queries_.get();
    parts.hub = hub_.get();
    parts.users = users_.get();
    parts.workers = workers_.get();
    parts.log_workers = log_workers_.get();
    parts.blobs = blobs_.get();
    parts.blob_workers = blob_workers_.get();
    parts.max_graph_tasks = config_.max_graph_tasks;
    parts.runs_containers = cluster_->runs_containers();
    if (config_.mesos_master) parts.default_ram = config_.mesos.default_ram;
    if (absl::Status status = ListenForHttp(parts, now); !status.ok()) return status;

    GrpcServerOptions options;
    options.socket = socket_;
    if (!config_.grpc.host.empty()) options.address = config_.grpc.ToString();
    options.tls = tls_;
    options.new_page_link = [this](const std::string& credential) {
      return NewPageLink(credential);
    };
    auto grpc = GrpcServer::Start(std::move(options), parts);
    if (!grpc.ok()) return grpc.status();
    grpc_ = *std::move(grpc);
    grpc_address_ = {config_.grpc.host, static_cast<uint16_t>(grpc_->port())};
    grpc_->SetServing(true);
    if (config_.mesos_master) start_line_.OnAgent("agents come with the offers of Mesos");
    PrepareStartLine();
    for (const std::string& doubt : DoubtfulSettings(config_, executor::DetectResources())) {
      spdlog::warn(doubt);
    }
    for (const Address& address : {grpc_address_, http_address_}) {
      if (tls_ || address.host.empty() || address.IsLoopback()) continue;
      spdlog::warn(
          "listening on {} without TLS (--insecure): anyone who can read the network can read the "
          "token, and with it run programs on this machine",
          address.ToString());
    }
    return absl::OkStatus();
  }

  absl::Status ListenForHttp(const ServiceParts& parts, absl::Time now) {
    api_ = std::make_unique<HttpApi>(
        HttpApi::Options{
            .version = kVersion, .start_time = now, .files = WebFiles(), .served = served_},
        parts, feed_.get(), probes_.get());
    HttpGate::Options access;
    access.listening = config_.http;
    access.hosts = config_.access.http_hosts;
    if (!config_.mesos.advertise.empty()) access.hosts.push_back(config_.mesos.advertise);
    access.open_path = served_.executor_path;
    access.metrics_open = config_.access.metrics_open;
    access.tls = tls_.has_value();
    gate_ = std::make_unique<HttpGate>(std::move(access), users_.get(), sessions_.get(),
                                       [this](HttpRequest request, HttpReply reply) {
                                         api_->Handle(std::move(request), std::move(reply));
                                       });
    HttpServerOptions options;
    options.address = config_.http;
    options.tls = tls_;
    auto http = HttpServer::Start(std::move(options), [this](HttpRequest request, HttpReply reply) {
      gate_->Handle(std::move(request), std::move(reply));
    });
    if (!http.ok()) return http.status();
    http_ = *std::move(http);
    http_address_ = {config_.http.host, static_cast<uint16_t>(http_->port())};
    return absl::OkStatus();
  }

  // Under the name by which browsers reach the page, as far as the settings say it.
  std::string NewPageLink(const std::string& credential) {
    Address page = http_address_;
    if (!config_.access.http_hosts.empty()) {
      page.host = config_.access.http_hosts.front();
    } else if (page.IsWildcard()) {
      page.host = HostName();
    }
    return absl::StrCat(tls_ ? "https://" : "http://", page.ToString(),
                        HttpGate::LoginTarget(sessions_->NewCode(credential)));
  }

  // "alice (user), bob (reader)".
  std::string UsersInWords() const {
    std::vector<std::string> words;
    for (const Users::User& user : users_->List()) {
      words.push_back(absl::StrCat(user.name, " (", ToString(user.role), ")"));
    }
    return words.empty() ? "none" : absl::StrJoin(words, ", ");
  }

  void LogReload(const ServiceConfig& config) {
    const std::vector<std::string> changed =
        ChangedSettings(applied_, config, TakesEffect::kAtOnce);
    const std::vector<std::string> later =
        ChangedSettings(config_, config, TakesEffect::kWithRestart);
    const std::string now = changed.empty() ? "nothing changed" : absl::StrJoin(changed, ", ");
    if (later.empty()) {
      spdlog::info("the settings were read again: {}", now);
    } else {
      spdlog::warn("the settings were read again: {}; takes effect with a restart: {}", now,
                   absl::StrJoin(later, ", "));
    }
  }

  // What somebody wants to know who reads the log later. On the scheduler's thread, so that the
  // start does not wait for its first batch.
  void PrepareStartLine() {
    scheduler_->Inspect([this](const scheduler::Snapshots& live) {
      const scheduler::TaskCounts tasks = live.Cluster(0, 0).counts;
      const int64_t alive = tasks.by_state[static_cast<int>(planner::TaskState::kLaunching)] +
                            tasks.by_state[static_cast<int>(planner::TaskState::kRunning)];
      const std::string cluster =
          config_.mesos_master ? absl::StrCat("on Mesos at ", config_.mesos_master->ToString())
                               : absl::StrCat("on this machine with ", Offered(config_).ToString());
      const Instant now = Clock::System().Now();
      start_line_.Begin(
          absl::StrCat("version ", kVersion, " serves ", config_.state, " (", Addresses(), ") ",
                       cluster, ", pools ", PoolsInWords(live.Pools(0, 0, now)),
                       "; live graphs: ", live.LiveGraphs().size(), ", live attempts: ", alive),
          now.steady);
      LogStart(now.steady);
    });
  }

  // Once all of it is known.
  void LogStart(SteadyTime now) {
    if (const std::optional<std::string> line = start_line_.Take(now)) spdlog::info(*line);
  }

  const ServiceConfig config_;
  ServiceConfig applied_ = config_;  // by the last reload
  bool stopped_ = false;
  bool could_write_ = true;
  Address grpc_address_;
  Address http_address_;
  HttpApi::Served served_;
  std::optional<Tls> tls_;
  std::string token_;
  std::string socket_;
  std::unique_ptr<Users> users_;
  std::unique_ptr<PageSessions> sessions_;
  StartLine start_line_;
  // In order of their dependencies.
  storage::History history_;
  std::unique_ptr<BoundedLogReader> logs_;  // outlives the reads, which end with the cluster
  std::unique_ptr<executor::Cluster> cluster_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::unique_ptr<Queries> queries_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<WorkerPool> log_workers_;
  std::unique_ptr<BlobStore> blobs_;  // null where tasks cannot read any
  std::unique_ptr<WorkerPool> blob_workers_;
  std::unique_ptr<WorkerPool> probes_;
  std::unique_ptr<ChangeHub> hub_;
  std::unique_ptr<EventFeed> feed_;
  std::unique_ptr<HttpApi> api_;
  std::unique_ptr<HttpGate> gate_;
  std::unique_ptr<GrpcServer> grpc_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const ServiceConfig& config) {
  auto daemon = std::make_unique<DaemonImpl>(config);
  if (absl::Status status = daemon->Begin(); !status.ok()) return status;
  return daemon;
}

}  // namespace kartograph::service
