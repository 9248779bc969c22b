// user add, list, remove, whoami: who may use the service.
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "api/kartograph/v1/users.pb.h"
#include "cli/commands.h"
#include "cli/report.h"
#include "cli/text.h"

namespace kartograph::cli {
namespace {

constexpr const char* kRoles[] = {"", "reader", "user", "admin"};  // by v1::Role

std::string RoleWord(v1::Role role) {
  return role >= v1::ROLE_READER && role <= v1::ROLE_ADMIN ? kRoles[role] : "unknown";
}

}  // namespace

int AddUser(const Context& context, const std::string& name, const std::string& role) {
  v1::AddUserRequest request;
  request.set_name(name);
  for (const v1::Role one : {v1::ROLE_READER, v1::ROLE_USER, v1::ROLE_ADMIN}) {
    if (role == kRoles[one]) request.set_role(one);
  }
  const absl::StatusOr<v1::AddUserResponse> added = context.client->AddUser(request);
  if (!added.ok()) return ReportError(context, added.status());
  if (context.json) {
    PrintJson(context, *added);
    return kDone;
  }
  *context.out << added->token() << std::endl;
  *context.err << "This token gives access as " << name << " (" << role
               << "). It cannot be shown again: keep it in a file that " << name
               << " alone can read, for --token-file.\n";
  return kDone;
}

int RemoveUser(const Context& context, const std::string& name) {
  v1::RemoveUserRequest request;
  request.set_name(name);
  const absl::StatusOr<v1::RemoveUserResponse> removed = context.client->RemoveUser(request);
  if (!removed.ok()) return ReportError(context, removed.status());
  if (context.json) {
    PrintJson(context, *removed);
  } else {
    *context.out << "user " << name << " was removed; graphs of that user go on\n";
  }
  return kDone;
}

int ListUsers(const Context& context) {
  const absl::StatusOr<v1::ListUsersResponse> users = context.client->ListUsers();
  if (!users.ok()) return ReportError(context, users.status());
  if (context.json) {
    PrintJson(context, *users);
    return kDone;
  }
  Table table({"USER", "ROLE", "ADDED"});
  for (const v1::User& user : users->users()) {
    table.Row({user.name(), RoleWord(user.role()),
               user.has_create_time() ? UtcTime(user.create_time()) : "the service's own"});
  }
  *context.out << table.ToString();
  return kDone;
}

int ListShares(const Context& context) {
  const absl::StatusOr<v1::ListSharesResponse> shares = context.client->ListShares();
  if (!shares.ok()) return ReportError(context, shares.status());
  if (context.json) {
    PrintJson(context, *shares);
    return kDone;
  }
  const auto percent = [](double part) { return absl::StrFormat("%.0f %%", part * 100); };
  Table table(
      {"USER", "WEIGHT", "DUE", "HOLDS", "AVERAGE", "GRAPHS", "RUNNING", "CONSUMPTION", "LIMITS"});
  for (const v1::Share& share : shares->shares()) {
    table.Row({absl::StrCat(share.named() ? "@" : "", share.name()), absl::StrCat(share.weight()),
               share.graphs() > 0 ? percent(share.due()) : "-", percent(share.held()),
               percent(share.average()), absl::StrCat(share.graphs()),
               absl::StrCat(share.running()), Quantities(share.consumption()),
               share.limits().empty() ? "-" : Quantities(share.limits())});
  }
  *context.out << table.ToString();
  if (shares->shares_size() < shares->total()) {
    *context.err << "There are " << shares->total() << "; these are the first.\n";
  }
  return kDone;
}

int WhoAmI(const Context& context) {
  const absl::StatusOr<v1::User> user = context.client->GetCaller();
  if (!user.ok()) return ReportError(context, user.status());
  if (context.json) {
    PrintJson(context, *user);
  } else {
    *context.out << user->name() << " (" << RoleWord(user->role()) << ")\n";
  }
  return kDone;
}

}  // namespace kartograph::cli
