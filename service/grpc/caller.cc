#include "service/grpc/caller.h"

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "service/access/queue_names.h"

namespace kartograph::service {

Caller CallerOf(const grpc::ServerContextBase& context, const Users& users) {
  if (absl::StartsWith(context.peer(), "unix:")) return users.Owner();
  const auto found = context.client_metadata().find("authorization");
  if (found != context.client_metadata().end()) {
    absl::string_view token(found->second.data(), found->second.size());
    absl::ConsumePrefix(&token, "Bearer ");
    if (std::optional<Caller> caller = users.Find(token)) return *std::move(caller);
  }
  // No user has this name.
  return {.user = "#removed", .role = Role::kReader, .credential = "none"};
}

const std::string& NameOf(const Caller& caller, const Users& users) {
  return caller.user.empty() ? users.owner_name() : caller.user;
}

void ShowQueue(const Caller& caller, const Users& users, v1::Graph& graph) {
  if (graph.spec().client_queue().empty()) return;
  v1::GraphSpec& spec = *graph.mutable_spec();
  spec.set_client_queue(ShownQueue(caller, spec.client_queue(), users.owner_name()));
}

}  // namespace kartograph::service
