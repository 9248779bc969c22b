#include "service/roles_as_one.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kartograph::service {

using scheduler::AgentSnapshot;

namespace {

constexpr char kId[] = "mesos_id";
constexpr char kRole[] = "mesos_role";

const std::string* Attribute(const AgentSnapshot& agent, absl::string_view name) {
  for (const auto& [key, value] : agent.attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

// Texts of both, each once.
void AddText(const std::string& more, absl::string_view between, std::string* text) {
  if (more.empty() || absl::StrContains(*text, more)) return;
  absl::StrAppend(text, text->empty() ? "" : between, more);
}

void Merge(AgentSnapshot more, AgentSnapshot* into) {
  into->connected |= more.connected;
  for (const auto& [resource, quantity] : more.capacity) {
    into->capacity.Set(resource, std::max(quantity, into->capacity.Get(resource)));
  }
  into->used += more.used;
  into->attempts += more.attempts;
  if (!into->host) into->host = std::move(more.host);
  into->unavailable_from = std::min(into->unavailable_from, more.unavailable_from);
  if (!into->unreachable_since) into->unreachable_since = more.unreachable_since;
  if (into->failure.empty()) {
    into->failure = std::move(more.failure);
    into->set_aside_until = more.set_aside_until;
  }
  if (into->closed.empty() || more.closed.empty()) {
    into->closed.clear();
  } else {
    AddText(more.closed, "; ", &into->closed);
  }
  for (auto& [key, value] : into->attributes) {
    const std::string* others = key == kRole ? Attribute(more, kRole) : nullptr;
    if (others != nullptr) absl::StrAppend(&value, ", ", *others);
  }
}

}  // namespace

void ShowRolesAsOne(scheduler::ClusterSnapshot* cluster) {
  std::vector<AgentSnapshot> agents;
  absl::flat_hash_map<std::string, size_t> places;  // by Mesos's id
  for (AgentSnapshot& agent : cluster->agents) {
    const std::string* id = Attribute(agent, kId);
    if (id != nullptr) {
      const auto [it, is_new] = places.try_emplace(*id, agents.size());
      if (!is_new) {
        Merge(std::move(agent), &agents[it->second]);
        --cluster->agent_count;
        continue;
      }
    }
    agents.push_back(std::move(agent));
  }
  cluster->agents = std::move(agents);
}

}  // namespace kartograph::service
