// What tasks have used, beside what they declare.
#ifndef KARTOGRAPH_SERVICE_USAGE_H_
#define KARTOGRAPH_SERVICE_USAGE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "scheduler/prepared_graph.h"
#include "scheduler/usage_table.h"

namespace kartograph::service {

// Fewer runs say little: nothing is proposed, and nobody is warned.
inline constexpr int64_t kLeastRuns = 5;
inline constexpr int kMaxUsageWarnings = 20;

v1::KindUsage ToMessage(const scheduler::KindUsage& usage);

absl::StatusOr<v1::ListUsageResponse> ListUsage(const scheduler::UsageTable& usage,
                                                const v1::ListUsageRequest& request);

// Warns of kinds of the graph that declare five times what they have used, or a fifth of it: each
// kind once, for the resource of which it is further off. Those with the most tasks come first.
void AddUsageWarnings(const scheduler::PreparedGraph& graph, const scheduler::UsageTable& usage,
                      v1::SubmitGraphResponse& response);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_USAGE_H_
