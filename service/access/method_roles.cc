#include "service/access/method_roles.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/types/span.h"

namespace kartograph::service {
namespace {

// Whatever changes nothing.
constexpr absl::string_view kReading[] = {
    "/kartograph.v1.StatusPage/GetPageLink",    "/kartograph.v1.TaskExecuter/FindMissingBlobs",
    "/kartograph.v1.TaskExecuter/ExplainGraph", "/kartograph.v1.TaskExecuter/ExplainTask",
    "/kartograph.v1.TaskExecuter/GetCluster",   "/kartograph.v1.TaskExecuter/GetGraph",
    "/kartograph.v1.TaskExecuter/GetTask",      "/kartograph.v1.TaskExecuter/ListFailures",
    "/kartograph.v1.TaskExecuter/ListGraphs",   "/kartograph.v1.TaskExecuter/ListPools",
    "/kartograph.v1.TaskExecuter/ListQueues",   "/kartograph.v1.TaskExecuter/ListTasks",
    "/kartograph.v1.TaskExecuter/ListUsage",    "/kartograph.v1.TaskExecuter/ReadLog",
    "/kartograph.v1.TaskExecuter/ReadResult",   "/kartograph.v1.TaskExecuter/WatchGraph",
    "/kartograph.v1.Users/GetCaller",           "/kartograph.v1.Users/ListShares",
    "/kartograph.v1.Users/ListUsers",
};
constexpr absl::string_view kAdministration[] = {
    "/kartograph.v1.TaskExecuter/SetPool",
    "/kartograph.v1.Users/AddUser",
    "/kartograph.v1.Users/RemoveUser",
};

bool IsOneOf(absl::Span<const absl::string_view> methods, absl::string_view path) {
  return std::find(methods.begin(), methods.end(), path) != methods.end();
}

}  // namespace

Role RoleFor(absl::string_view path) {
  if (IsOneOf(kAdministration, path)) return Role::kAdmin;
  const bool reads = IsOneOf(kReading, path) || absl::StartsWith(path, "/grpc.");
  return reads ? Role::kReader : Role::kUser;
}

}  // namespace kartograph::service
