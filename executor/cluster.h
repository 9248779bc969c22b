// Where tasks run. The scheduler sees every kind of cluster through this one interface.
#ifndef KARTOGRAPH_EXECUTOR_CLUSTER_H_
#define KARTOGRAPH_EXECUTOR_CLUSTER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "planner/states.h"

namespace kartograph::executor {

// Chosen by the cluster; the same agent keeps its id across reconnections and restarts of either
// side.
using AgentId = std::string;
using OfferId = std::string;

// Resources of one agent, ours until we use, decline or lose them.
struct Offer {
  OfferId id;
  AgentId agent;
  std::string agent_name;  // for people; mostly the host's
  planner::ResourceVector resources;
  // A lease: `resources` is everything on the agent that is ours, attempts that already run there
  // included; what an attempt frees is ours again at once, without a further offer. A newer lease
  // for the agent replaces the older one. Without a lease, `resources` is what is free now, used up
  // by the first launch on it.
  bool lease = false;
  // How many attempts the agent will keep beyond its resources. It starts them strictly by
  // Launch::backlog_order, each as soon as its consumption fits into what is free. Only with a
  // lease.
  int backlog = 0;
  // What the agent reports about itself, such as {"rack", "b3"}; in order of names.
  std::vector<std::pair<std::string, std::string>> attributes;
  // The agent is taken down for maintenance then.
  absl::Time unavailable_from = absl::InfiniteFuture();
};

// What an attempt really used.
struct Usage {
  uint64_t peak_ram_bytes = 0;
  absl::Duration cpu_time;  // user and system, the whole tree of processes
  absl::Duration wall_time;
};

// An attempt runs, or has ended. The cluster repeats an end until it is acknowledged.
struct AttemptUpdate {
  planner::AttemptId attempt;
  AgentId agent;
  planner::Outcome outcome = planner::Outcome::kNone;  // kNone: it has not ended
  // Its agent cannot be reached: whether it runs is not known, so it keeps all that it holds until
  // a later update. Only with kNone.
  bool unreachable = false;
  int exit_status = 0;  // for kSucceeded and kExited
  int signal = 0;       // for kSignalled
  std::string message;  // for people: why it ended so, or what its end waits for; may be empty
  absl::Time start_time =
      absl::InfinitePast();  // when the process was started, by the agent's clock
  absl::Time end_time = absl::InfinitePast();
  Usage usage;
  std::string return_value;  // what it wrote to KARTOGRAPH_RESULT
  bool has_value = false;    // it wrote one, which may have no bytes
};

// The connection is up; earlier offers are void. After this the scheduler asks Reconcile about what
// it launched.
struct Connected {
  std::string description;  // for people: as whom, and with whom
};
// All offers are void; nothing is known of the attempts until the connection is back.
struct Disconnected {
  std::string reason;
};
struct OfferRescinded {
  OfferId id;
};
// All that an agent has for us, whether it is offered now or not. A cluster that knows its agents
// reports this of each, before the first offer where it can, and again when it has changed; offers
// come all the same. Not for agents that are leased.
struct AgentCapacity {
  AgentId agent;
  std::string agent_name;
  planner::ResourceVector resources;
  // The most that one attempt can have: less where there are kinds that cannot be used together.
  planner::ResourceVector for_one_attempt;
  std::vector<std::pair<std::string, std::string>> attributes;  // as in Offer
  // Why nothing of it is offered until this is reported anew, after its name and a "which": "is
  // being drained by its operator". Empty: it can be used.
  std::string closed = {};
};
// The agent is gone for good, and every attempt on it with it. Its offers are void.
struct AgentLost {
  AgentId agent;
};
// The agent does not answer for now; updates report its attempts. Its offers are void. An offer or
// an update from it means that it is back.
struct AgentUnreachable {
  AgentId agent;
};
// What an agent's host reports about itself from time to time. Counters grow from the host's start.
struct HostReport {
  AgentId agent;
  absl::Time time;
  int cpus = 0;     // of the host, however many are offered
  double load = 0;  // processes that run or wait to, mean of a minute
  absl::Duration cpu_user, cpu_system, cpu_idle, cpu_wait;  // over all its cpus
  uint64_t ram_bytes = 0, ram_available_bytes = 0;
  uint64_t disk_bytes = 0, disk_free_bytes = 0;  // of the file system of the sandboxes
  uint64_t received_bytes = 0, sent_bytes = 0;   // over all network interfaces but loopback
};

using ClusterEvent = std::variant<Connected, Disconnected, Offer, OfferRescinded, AttemptUpdate,
                                  AgentCapacity, AgentLost, AgentUnreachable, HostReport>;

// Receives a cluster's events, in order, from one thread of the cluster at a time. Must not block.
using ClusterListener = std::function<void(std::vector<ClusterEvent>)>;

// Which instances of an indexed resource an attempt has.
struct HeldInstances {
  planner::Resource resource;
  std::vector<std::string> names;  // none where it consumes none of it
  bool operator==(const HeldInstances&) const = default;
};

struct Launch {
  planner::AttemptId attempt;
  AgentId agent;
  std::string task_name;
  // The agent's own resources; units of pools are not in it.
  planner::ResourceVector consumption;
  // A serialized executor.Payload (payload.proto): what to run.
  std::string payload;
  absl::Duration timeout = absl::InfiniteDuration();
  absl::Duration cancel_grace = absl::Seconds(10);
  // Units of pools that it holds, for the task to know; they are counted elsewhere.
  planner::ResourceVector pools{};
  // What the tasks before it have returned, by their names, where it reads that and they are not
  // too large. One that returned nothing is not in it.
  std::optional<std::vector<std::pair<std::string, std::string>>> values{};
  // Of each indexed resource of the agent, which alone fills this in when it starts the attempt.
  std::vector<HeldInstances> instances{};
  // Of one for the agent's backlog: the less, byte by byte, the sooner it starts; of the same, the
  // one that was sent first. Empty: its resources are free, so that it goes before all others.
  std::string backlog_order{};
};

enum class LogStream { kStdout, kStderr };

struct LogRequest {
  planner::AttemptId attempt;
  AgentId agent;
  LogStream stream = LogStream::kStdout;
  int64_t offset = 0;  // negative: that many bytes before the end
  int64_t max_bytes = 64 << 10;
};
struct LogChunk {
  int64_t offset = 0;  // of the first byte of data
  std::string data;    // empty at the end of what is there now
};

// What only a cluster that makes offers has: others can use what we give back. Thread-safe; no call
// blocks.
class OfferControl {
 public:
  virtual ~OfferControl() = default;

  // Gives back offers that nothing waiting fits into. What they held is offered again with more of
  // the same agent, or after Revive. Only for offers that are not leases.
  virtual void Decline(const std::vector<OfferId>& offers) = 0;
  // No resources are wanted for now: nothing waits for any.
  virtual void Suppress() = 0;
  // Resources are wanted, including declined ones: what waits for an agent consumes these, each
  // distinct consumption once.
  virtual void Revive(const std::vector<planner::ResourceVector>& wanted) = 0;
};

// What reads the logs of attempts. Thread-safe; no call blocks on the network or on a task.
class LogReader {
 public:
  virtual ~LogReader() = default;

  // Where it worked and its logs are, a path on its agent; empty where that is not known, or where
  // nothing is left of it.
  virtual std::string SandboxOf(planner::AttemptId, const AgentId&) { return ""; }
  // Reads what an attempt has written; `done` is called once, from any thread, possibly before the
  // return. NotFound where the log is not there (any more).
  virtual void ReadLog(const LogRequest& request,
                       std::function<void(absl::StatusOr<LogChunk>)> done) = 0;
};

// What every cluster does. Thread-safe. No call blocks on the network or on a task. Keeps no task
// state that it could not rebuild: the scheduler's history is the truth about what was launched,
// the agents are the truth about what runs.
class Cluster {
 public:
  virtual ~Cluster() = default;

  // Begins to connect and to send events; called once. An error means that it can never work as
  // configured and says what to do.
  virtual absl::Status Start(ClusterListener listener) = 0;

  // Launches attempts. A repeated id is ignored. What cannot be launched comes back as an ended
  // attempt (kRefused).
  virtual void Execute(std::vector<Launch> launches) = 0;
  // Ends an attempt: SIGTERM, after `grace` SIGKILL, for its whole tree of processes. The end
  // arrives as an update. An unknown attempt arrives as kLost.
  virtual void Cancel(planner::AttemptId attempt, const AgentId& agent, absl::Duration grace) = 0;
  // The end of these attempts is committed; the cluster may forget them.
  virtual void Acknowledge(const std::vector<planner::AttemptId>& attempts) = 0;

  struct KnownAttempt {
    planner::AttemptId attempt;
    AgentId agent;
    // As in its Launch, and when that was.
    absl::Duration timeout = absl::InfiniteDuration();
    absl::Duration cancel_grace = absl::Seconds(10);
    absl::Time launch_time = absl::InfinitePast();
  };
  // Asks for the state of attempts believed alive. Each is answered by an AttemptUpdate; one the
  // cluster never heard of arrives as kLost.
  virtual void Reconcile(std::vector<KnownAttempt> attempts) = 0;

  // A graph's history is pruned: its logs and sandboxes may go.
  virtual void Discard(planner::GraphId graph) = 0;

  // Log files of its own that were renamed are made again.
  virtual void ReopenLogs() {}

  // Whether a task can run in a container.
  virtual bool runs_containers() const { return true; }
  // Whether a task finds the blobs of its payload, but for one in a container.
  virtual bool reads_blobs() const { return false; }

  // What not every cluster has, or null. Lives as long as the cluster.
  virtual OfferControl* offers() { return nullptr; }  // null: it only leases
  virtual LogReader* logs() { return nullptr; }       // null: nothing is written
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_CLUSTER_H_
