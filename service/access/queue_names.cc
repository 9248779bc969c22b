#include "service/access/queue_names.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "planner/names.h"

namespace kartograph::service {
namespace {

constexpr absl::string_view kSeparator = "#";  // which no queue and no user has in its name

}  // namespace

std::string StoredName(const Caller& caller, absl::string_view name) {
  if (caller.user.empty() || name.empty()) return std::string(name);
  return absl::StrCat(caller.user, kSeparator, name);
}

absl::StatusOr<std::string> StoredQueue(const Caller& caller, absl::string_view name,
                                        absl::string_view owner_name) {
  const size_t separator = name.find(kSeparator);
  const absl::string_view queue =
      separator == absl::string_view::npos ? name : name.substr(separator + 1);
  if (const std::string problem = planner::NameProblem(queue); !problem.empty()) {
    return absl::InvalidArgumentError(problem);
  }
  if (separator == absl::string_view::npos) return StoredName(caller, name);
  const absl::string_view user = name.substr(0, separator);
  if (const std::string problem = planner::UserNameProblem(user); !problem.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("names a user before '#' that ", problem));
  }
  const Caller named{.user = user == owner_name ? "" : std::string(user)};
  if (named.user != caller.user && caller.role != Role::kAdmin) {
    return absl::PermissionDeniedError(absl::StrCat(
        "queue \"", name, "\" is ", user, "'s: administrators alone may use others' queues"));
  }
  return StoredName(named, queue);
}

std::string ShownQueue(const Caller& caller, absl::string_view stored,
                       absl::string_view owner_name) {
  if (stored.empty()) return "";
  const size_t separator = stored.find(kSeparator);
  const bool owners = separator == absl::string_view::npos;
  if (caller.user == (owners ? "" : stored.substr(0, separator))) {
    return std::string(owners ? stored : stored.substr(separator + 1));
  }
  return owners ? StoredName({.user = std::string(owner_name)}, stored) : std::string(stored);
}

}  // namespace kartograph::service
