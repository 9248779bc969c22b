// Resources whose units are told apart, such as the GPUs of a host.
#ifndef KARTOGRAPH_PLANNER_INSTANCES_H_
#define KARTOGRAPH_PLANNER_INSTANCES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "planner/resources.h"

namespace kartograph::planner {

// Indexed resources, each with the names of its instances in the order in which they are handed
// out. Its capacity is their number.
using InstanceLists = absl::btree_map<Resource, std::vector<std::string>>;

inline constexpr size_t kMaxInstances = 1024;  // of one resource
inline constexpr size_t kMaxInstanceNameLength = 64;

// InvalidArgument, saying what would be valid, for none or more than kMaxInstances, for a name that
// is there twice, and for one that is not 1 to 64 letters, digits and '.', '_', ':', '/', '-'.
absl::Status CheckInstances(const std::vector<std::string>& names);
// The names in "[0,1]"; errors as above.
absl::StatusOr<std::vector<std::string>> ParseInstances(absl::string_view text);
// "0" to "1023": for a host whose count only others know.
std::vector<std::string> NumberedInstances();

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_INSTANCES_H_
