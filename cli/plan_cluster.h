// The cluster that a plan is made for, as it is written on the command line or as the service has
// it.
#ifndef KARTOGRAPH_CLI_PLAN_CLUSTER_H_
#define KARTOGRAPH_CLI_PLAN_CLUSTER_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "forecast/simulate.h"

namespace kartograph::cli {

struct PlanCluster {
  static constexpr size_t kMaxAgents = 10000;
  static constexpr size_t kMaxPools = 1000;

  forecast::Cluster cluster;
  std::vector<std::string> names;  // of its agents
};

// Adds what a word such as "20xcpu=16,ram=64GiB" says, 20 agents, and "cpu=4", one. InvalidArgument
// says what is wrong with it.
absl::Status AddAgents(absl::string_view word, PlanCluster* cluster);
// Sets a pool, "db_connections=40", once the agents are known; a word of its own for each. `seen`:
// the names that words had before.
absl::Status SetPlanPool(absl::string_view word, std::vector<std::string>* seen,
                         PlanCluster* cluster);
// Adds the agents of a service that could run something, and its pools. FailedPrecondition where
// there are no such agents.
absl::Status AddServiceCluster(const v1::Cluster& service, PlanCluster* cluster);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_PLAN_CLUSTER_H_
