#include "tests/mesos/allocator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace kartograph::stand_in {

Allocator::Allocator(absl::Duration interval, const std::string& min_allocatable)
    : interval_(interval) {
  for (absl::string_view one : absl::StrSplit(min_allocatable, '|', absl::SkipEmpty())) {
    Quantities& quantities = min_.emplace_back();
    for (absl::string_view part : absl::StrSplit(one, ';', absl::SkipEmpty())) {
      const std::pair<std::string, std::string> halves =
          absl::StrSplit(part, absl::MaxSplits(':', 1));
      double value = 0;
      if (absl::SimpleAtod(halves.second, &value)) {
        quantities[halves.first] = std::llround(value * 1000);
      }
    }
  }
}

void Allocator::SetFramework(const mesos::FrameworkInfo& info,
                             const std::set<std::string>& suppressed) {
  Framework& framework = frameworks_[info.id().value()];
  framework.revocable = framework.gpus = false;
  for (const auto& capability : info.capabilities()) {
    using Capability = mesos::FrameworkInfo::Capability;
    if (capability.type() == Capability::REVOCABLE_RESOURCES) framework.revocable = true;
    if (capability.type() == Capability::GPU_RESOURCES) framework.gpus = true;
  }
  std::map<std::string, Role> roles;
  for (const std::string& name : info.roles()) {
    Role role;
    if (const auto found = framework.roles.find(name); found != framework.roles.end()) {
      role = std::move(found->second);
    }
    role.suppressed = suppressed.count(name) > 0;
    role.min.clear();
    const auto filters = info.offer_filters().find(name);
    role.has_min =
        filters != info.offer_filters().end() && filters->second.has_min_allocatable_resources();
    if (role.has_min) {
      for (const auto& one : filters->second.min_allocatable_resources().quantities()) {
        Quantities& quantities = role.min.emplace_back();
        for (const auto& [resource, scalar] : one.quantities()) {
          quantities[resource] = std::llround(scalar.value() * 1000);
        }
      }
    }
    roles[name] = std::move(role);
  }
  framework.roles = std::move(roles);
}

void Allocator::SetFrameworkActive(const std::string& framework_id, bool active) {
  const auto found = frameworks_.find(framework_id);
  if (found == frameworks_.end()) return;
  found->second.active = active;
  // As in Mesos: whoever comes back has refused nothing.
  if (!active) {
    for (auto& [name, role] : found->second.roles) role.filters.clear();
  }
}

void Allocator::RemoveFramework(const std::string& framework_id) {
  frameworks_.erase(framework_id);
}

void Allocator::AddAgent(const std::string& agent_id, const Pool& total) {
  agents_[agent_id] = {total, total, true};
  with_free_.insert(agent_id);
}

void Allocator::SetAgentActive(const std::string& agent_id, bool active) {
  const auto found = agents_.find(agent_id);
  if (found != agents_.end()) found->second.active = active;
}

void Allocator::RemoveAgent(const std::string& agent_id) {
  agents_.erase(agent_id);
  with_free_.erase(agent_id);
  for (auto& [id, framework] : frameworks_) {
    for (auto& [name, role] : framework.roles) role.filters.erase(agent_id);
  }
}

void Allocator::Revive(const std::string& framework_id, const std::vector<std::string>& roles) {
  for (auto& [name, role] : frameworks_[framework_id].roles) {
    if (!roles.empty() && std::find(roles.begin(), roles.end(), name) == roles.end()) continue;
    role.suppressed = false;
    role.filters.clear();
  }
}

void Allocator::Suppress(const std::string& framework_id, const std::vector<std::string>& roles) {
  for (auto& [name, role] : frameworks_[framework_id].roles) {
    if (!roles.empty() && std::find(roles.begin(), roles.end(), name) == roles.end()) continue;
    role.suppressed = true;
  }
}

void Allocator::Use(const std::string& framework_id, const std::string& agent_id,
                    const Pool& resources) {
  const auto agent = agents_.find(agent_id);
  if (agent == agents_.end()) return;
  agent->second.free.Subtract(resources);
  if (agent->second.free.empty()) with_free_.erase(agent_id);
  const auto framework = frameworks_.find(framework_id);
  if (framework != frameworks_.end()) framework->second.share += resources.Sum("cpus");
}

void Allocator::Recover(const std::string& framework_id, const std::string& agent_id,
                        const Pool& resources) {
  if (resources.empty()) return;
  const auto framework = frameworks_.find(framework_id);
  if (framework != frameworks_.end()) framework->second.share -= resources.Sum("cpus");
  const auto agent = agents_.find(agent_id);
  if (agent == agents_.end()) return;
  agent->second.free.Add(resources);
  with_free_.insert(agent_id);
}

void Allocator::Refuse(const std::string& framework_id, const std::string& role,
                       const std::string& agent_id, const Pool& resources,
                       absl::Duration duration) {
  const auto framework = frameworks_.find(framework_id);
  if (framework == frameworks_.end() || duration <= absl::ZeroDuration()) return;
  const auto found = framework->second.roles.find(role);
  if (found == framework->second.roles.end() || resources.empty()) return;
  // Shorter than until the next allocation would be as good as not at all.
  found->second.filters[agent_id].push_back(
      {resources, absl::Now() + std::max(duration, interval_)});
}

bool Allocator::Allocatable(const Role& role, const Pool& resources) const {
  const std::vector<Quantities>& min = role.has_min ? role.min : min_;
  if (min.empty()) return true;
  return std::any_of(min.begin(), min.end(), [&](const Quantities& quantities) {
    return std::all_of(quantities.begin(), quantities.end(), [&](const auto& quantity) {
      return resources.Sum(quantity.first) >= quantity.second;
    });
  });
}

bool Allocator::IsRefused(Role* role, const std::string& agent_id, const Pool& resources,
                          absl::Time now) {
  const auto found = role->filters.find(agent_id);
  if (found == role->filters.end()) return false;
  std::vector<Filter>& filters = found->second;
  filters.erase(std::remove_if(filters.begin(), filters.end(),
                               [&](const Filter& filter) { return filter.until <= now; }),
                filters.end());
  if (filters.empty()) {
    role->filters.erase(found);
    return false;
  }
  return std::any_of(filters.begin(), filters.end(),
                     [&](const Filter& filter) { return filter.refused.Contains(resources); });
}

void Allocator::SetQuota(const std::string& role, const Quantities& limits) {
  if (limits.empty()) {
    quotas_.erase(role);
  } else {
    quotas_[role] = limits;
  }
}

std::vector<Allocator::Grant> Allocator::Allocate(
    const std::function<Pool(const std::string& role)>& allocated) {
  std::vector<Grant> grants;
  std::map<std::string, Quantities> left;  // of quotas, by role
  for (const auto& [role, limits] : quotas_) {
    const Pool has = allocated(role);
    for (const auto& [name, limit] : limits) left[role][name] = limit - has.Sum(name);
  }
  const absl::Time now = absl::Now();
  std::vector<std::pair<const std::string*, Framework*>> order;
  for (auto& [id, framework] : frameworks_) {
    if (framework.active) order.emplace_back(&id, &framework);
  }
  for (auto next = with_free_.begin(); next != with_free_.end();) {
    const std::string agent_id = *next++;
    Agent& agent = agents_.at(agent_id);
    if (!agent.active) continue;
    std::stable_sort(order.begin(), order.end(), [](const auto& one, const auto& other) {
      return one.second->share < other.second->share;
    });
    for (auto& [framework_id, framework] : order) {
      // Agents with GPUs are kept for frameworks with the capability for them.
      if (agent.total.Sum("gpus") > 0 && !framework->gpus) continue;
      for (auto& [name, role] : framework->roles) {
        if (role.suppressed) continue;
        Pool wanted = agent.free.For({name, framework->revocable});
        const auto quota = left.find(name);
        if (quota != left.end()) wanted = wanted.AtMost(quota->second);
        if (wanted.empty() || !Allocatable(role, wanted)) continue;
        if (IsRefused(&role, agent_id, wanted, now)) continue;
        agent.free.Subtract(wanted);
        if (quota != left.end()) {
          for (auto& [resource, amount] : quota->second) amount -= wanted.Sum(resource);
        }
        framework->share += wanted.Sum("cpus");
        grants.push_back({*framework_id, name, agent_id, wanted});
      }
    }
    if (agent.free.empty()) with_free_.erase(agent_id);
  }
  return grants;
}

}  // namespace kartograph::stand_in
