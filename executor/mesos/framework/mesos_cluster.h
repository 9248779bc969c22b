// A cluster under Apache Mesos (1.11 or newer), as a framework over its v1 HTTP API.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MESOS_CLUSTER_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MESOS_CLUSTER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "executor/cluster.h"
#include "executor/mesos/framework/framework.h"
#include "executor/mesos/framework/master_address.h"

namespace kartograph::executor {

struct MesosClusterOptions {
  mesos::MasterAddress master;
  mesos::FrameworkOptions framework;
  // PEM file of the authorities that sign the master's and the agents' certificates; empty: the
  // system's.
  std::string ca_file;
};

// Registers at the master found by `options.master`, and keeps what must survive in
// `options.framework.id_file`. Attempts run under kartograph-executor, one per agent.
//
// Offers are not leases. Disconnected says why, for operators; after one that asks them to do
// something (the framework was removed, another kartographd has taken it over, its id is lost) it
// stays disconnected.
//
// While it is disconnected launches and acknowledgements are dropped (the scheduler asks about the
// former after Connected, Mesos repeats what the latter were for), and cancels are kept.
//
// Destruction leaves the framework registered and its attempts running, to be found again.
//
// Errors: FailedPrecondition or NotFound for what can never work, such as an unreadable id.
absl::StatusOr<std::unique_ptr<Cluster>> CreateMesosCluster(MesosClusterOptions options);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MESOS_CLUSTER_H_
