// What the masters of Mesos write into ZooKeeper: each that is ready to lead has a node of its own,
// numbered in the order in which they came.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MASTER_NODE_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MASTER_NODE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "executor/mesos/endpoint.h"

namespace kartograph::executor::mesos {

// The name of the leader's node, which is the one that came first; nothing where no master is among
// `names`. Other nodes are skipped.
std::optional<std::string> LeadingNode(const std::vector<std::string>& names);

// Where the master that wrote `data` into the node of that name answers; `target` is empty. Over
// TLS it is addressed by its name, if it has one, as certificates have names; otherwise by its IP
// address. InvalidArgument where it cannot be understood.
absl::StatusOr<Endpoint> ParseMasterNode(absl::string_view name, absl::string_view data,
                                         bool tls = false);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MASTER_NODE_H_
