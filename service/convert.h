// From the contract's messages to the service's own values: every field is checked here, and all
// problems are reported at once.
#ifndef KARTOGRAPH_SERVICE_CONVERT_H_
#define KARTOGRAPH_SERVICE_CONVERT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "planner/ids.h"
#include "planner/problems.h"
#include "planner/states.h"
#include "scheduler/scheduler.h"
#include "service/problem_list.h"

namespace kartograph::service {

// `field` says where the message stands, such as `graph`. Tasks are left empty.
scheduler::GraphSubmission ConvertGraph(const v1::GraphSpec& spec, absl::string_view field,
                                        planner::ResourceNames& names, ProblemList& problems);

// Where a task of a graph stands: by its name, or, where that is invalid, by its place.
std::string TaskField(const v1::TaskSpec& spec, int64_t index);

// `field` is such as `task`, or TaskField's. `names` are those of the whole graph, and live until
// the scheduler has answered.
scheduler::TaskSubmission ConvertTask(const v1::TaskSpec& spec, absl::string_view field,
                                      planner::ResourceNames& names, ProblemList& problems);

// For clusters where a task that names no ram is taken to have named this much; zero: none.
void SetDefaultRam(const v1::TaskSpec& spec, planner::Quantity ram,
                   scheduler::TaskSubmission& task);

// For clusters that have no containers.
void RefuseContainer(const v1::TaskSpec& spec, absl::string_view field, ProblemList& problems);

void CheckRequestId(absl::string_view request_id, ProblemList& problems);
// All but the request id of the command, which is checked.
scheduler::SetPool ConvertSetPool(const v1::SetPoolRequest& request, std::string caller,
                                  ProblemList& problems);
// Adds a problem where `name` breaks the rule for names of tasks, graphs and queues.
bool CheckName(absl::string_view name, std::string field, ProblemList& problems);

// A span that may be left out: `fallback` then, and where it is invalid.
absl::Duration ConvertDuration(const google::protobuf::Duration& duration, std::string field,
                               absl::Duration fallback, ProblemList& problems);

// The epoch where it is invalid.
absl::Time ConvertTime(const google::protobuf::Timestamp& time, std::string field,
                       ProblemList& problems);

// 0 where the text is not a graph's id; says what one looks like.
planner::GraphId ConvertGraphId(absl::string_view text, ProblemList& problems);

// The number of an attempt, from 1; 0 means the last one.
void CheckAttemptNumber(int32_t number, ProblemList& problems);

inline constexpr int kDefaultPageSize = 100;
inline constexpr int kMaxPageSize = 1000;

// 1 to kMaxPageSize; 0 means kDefaultPageSize.
int ConvertPageSize(int32_t page_size, ProblemList& problems);
// A place in a list, as an opaque text. `kind` keeps the token of one list from being used for
// another.
std::string MakePageToken(char kind, uint32_t place);
// 0 for the empty token.
uint32_t ConvertPageToken(absl::string_view token, char kind, ProblemList& problems);
// The same for lists by name: the place is the last name of the page before. Part of `token`; empty
// for the empty one.
std::string MakeNameToken(char kind, absl::string_view name);
absl::string_view ConvertNameToken(absl::string_view token, char kind, ProblemList& problems);

std::vector<planner::TaskState> ConvertTaskStates(
    const google::protobuf::RepeatedField<int>& states, ProblemList& problems);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONVERT_H_
