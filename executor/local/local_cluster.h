// This machine as a cluster of one agent.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_LOCAL_CLUSTER_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_LOCAL_CLUSTER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "executor/cluster.h"
#include "executor/disk_limits.h"
#include "executor/lineage.h"
#include "executor/memory_limits.h"
#include "planner/instances.h"
#include "planner/resources.h"

namespace kartograph::executor {

struct LocalClusterOptions {
  std::string state_dir;  // absolute; exists
  // kartograph-local-agent. Empty: the agent is started by somebody else, such as systemd, and is
  // waited for.
  std::string agent_binary;
  planner::ResourceVector resources;  // to offer, such as DetectResources()
  // Those of them whose units are told apart: as many instances as there are units.
  planner::InstanceLists instances;
  // What it says of itself beside executor/memory_limits.h, as in Offer.
  std::vector<std::pair<std::string, std::string>> attributes;
  // How many attempts the agent keeps beyond its resources.
  int backlog = 1024;
  // A cgroup2 folder to make groups in, "auto" (the agent's own, where possible) or "off".
  std::string cgroup = "auto";
  // How long an agent without work and without a kartographd stays.
  absl::Duration agent_idle_exit = absl::Minutes(1);
  DiskLimits disk_limits;
  int64_t ram_headroom = RamHeadroom::kUsual;  // bytes
  int slots = 0;  // attempts that run at once, at most, whatever they consume; 0: no limit
  // Whose attempts the agent is to have; it ends those of others.
  Lineage lineage;
  // An agent that has been silent for this long is pinged, and after twice that is reported as
  // unreachable.
  absl::Duration ping_interval = absl::Seconds(4);
  // What may wait to be sent to an agent that does not read. Beyond it launches come back as
  // kDropped, and cancels and acknowledgements are kept.
  size_t max_unsent_bytes = 256 << 20;
  // Told of each agent that is connected, on a thread of the cluster: its process id, whether it
  // was started or found, what it holds and how it keeps memory limits, in words for a log. Not
  // set: the log is told.
  std::function<void(std::string)> on_agent{};
};

// The id of the one agent, across restarts.
inline constexpr char kLocalAgentId[] = "local";

// Attempts run under kartograph-local-agent, a separate process that goes on without this one,
// which starts it where none serves the state folder yet (unless that is somebody else's task). One
// at a time serves a folder: a newer LocalCluster takes the agent over, and the older one is
// disconnected for good.
//
// One lease is offered, with these attributes and that of executor/memory_limits.h. Reconcile is
// answered with an update for each attempt: running (kNone with a start time), waiting in the
// agent's backlog (kNone with start_time InfinitePast: known, not started yet), ended, or kLost.
//
// While it is disconnected, cancels and acknowledgements are kept; launches come back as kDropped
// after Connected, with those that were still to be sent when the connection ended.
//
// An agent that is connected and does not answer (it is stopped, or hangs) is reported as
// unreachable, and offered again when it answers; nothing is reported of its attempts, which may
// well run. One that is told to end is reported as unreachable, too, until it has ended and another
// one is there: nothing more is launched on it.
//
// Destruction tells an agent that it would start again, and that has no attempts, to leave and
// waits for that (some milliseconds); otherwise the agent stays, to be found again.
//
// Create's errors: FailedPrecondition, NotFound or PermissionDenied for what can never work.
absl::StatusOr<std::unique_ptr<Cluster>> CreateLocalCluster(LocalClusterOptions options);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_LOCAL_CLUSTER_H_
