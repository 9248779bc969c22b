// From the service's own values to the contract's messages.
#ifndef KARTOGRAPH_SERVICE_MESSAGES_H_
#define KARTOGRAPH_SERVICE_MESSAGES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "planner/cap.h"
#include "planner/states.h"
#include "scheduler/snapshot.h"
#include "storage/history.h"

namespace kartograph::service {

google::protobuf::Timestamp ToMessage(absl::Time time);
google::protobuf::Duration ToMessage(absl::Duration duration);

v1::GraphState ToMessage(planner::GraphState state);
v1::TaskState ToMessage(planner::TaskState state);
v1::Outcome ToMessage(planner::Outcome outcome);
v1::TaskCounts ToMessage(const scheduler::TaskCounts& counts);

v1::Graph ToMessage(const scheduler::GraphSnapshot& graph);
// For a final graph; a running one's counts come from the scheduler.
v1::Graph ToMessage(const storage::GraphRow& row);

// With name, consumption, state and, where it is final, reason and end. `after` are the names of
// row.task.after; specification and attempts only where `full`.
v1::Task ToMessage(const storage::TaskRow& row, bool full, absl::Span<const std::string> after);
// Puts the live state above what the history says.
void Overlay(const scheduler::TaskSnapshot& live,
             absl::Span<const scheduler::AttemptSnapshot> attempts, v1::Task& task);

// Takes out what only who submitted a task is to see: variables hold passwords at times, inputs
// anything. Values of variables become "***".
void HideVariables(v1::Task& task);

v1::FinishedTask ToMessage(const storage::Finished& finished);
// Of a delivery that is the end of a graph.
v1::FinishedGraph GraphEndMessage(const storage::Finished& finished);
v1::Agent ToMessage(const scheduler::AgentSnapshot& agent);
v1::Host ToMessage(const scheduler::HostSnapshot& host);
v1::Pool ToMessage(const scheduler::PoolSnapshot& pool);

// What an INVALID_ARGUMENT carries. Stops before `max_bytes`; `total` counts all.
v1::Problems ProblemsMessage(const absl::Status& status, size_t max_bytes);

void SetConsumption(const planner::ResourceVector& consumption,
                    google::protobuf::Map<std::string, double>& map);
// As in GraphSpec.limits.
void SetLimits(const planner::Cap& cap, google::protobuf::Map<std::string, double>& map);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_MESSAGES_H_
