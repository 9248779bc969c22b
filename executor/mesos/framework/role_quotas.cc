#include "executor/mesos/framework/role_quotas.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "executor/mesos/framework/offered_resources.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::MasterResponse;
using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;

namespace {

// More of one role are not looked at.
constexpr size_t kMaxLimits = 64;

// In our terms: of what Mesos calls so and counts so.
ResourceVector InOurs(const std::string& name, double value) {
  google::protobuf::RepeatedPtrField<kartograph::mesos::Resource> resources;
  kartograph::mesos::Resource& resource = *resources.Add();
  resource.set_name(name);
  resource.set_type(kartograph::mesos::Value::SCALAR);
  resource.mutable_scalar()->set_value(value);
  OfferedResources ours(OfferedResources::Revocable::kIgnored);
  ours.Add(resources);
  return ours.all();
}

bool IsOrIsBelow(absl::string_view role, absl::string_view above) {
  return role == above || absl::StartsWith(role, absl::StrCat(above, "/"));
}

std::string Text(Resource resource, Quantity quantity) {
  if (quantity.is_zero()) return absl::StrCat(resource.name(), "=0");
  return ResourceVector({{resource, quantity}}).ToString();
}

}  // namespace

void RoleQuotas::Set(const MasterResponse::GetQuota& quota, const MasterResponse::GetRoles& roles) {
  limits_.clear();
  for (const auto& config : quota.status().configs()) {
    const bool matters = std::any_of(roles_.begin(), roles_.end(), [&](const std::string& role) {
      return IsOrIsBelow(role, config.role());
    });
    if (!matters || config.limits().empty()) continue;
    OfferedResources allocated(OfferedResources::Revocable::kIgnored);
    // What a role has includes what those below it have, where the master names it.
    const auto named = std::find_if(roles.roles().begin(), roles.roles().end(),
                                    [&](const auto& role) { return role.name() == config.role(); });
    for (const auto& role : roles.roles()) {
      const bool counts = named != roles.roles().end() ? role.name() == config.role()
                                                       : IsOrIsBelow(role.name(), config.role());
      if (counts) allocated.Add(role.resources());
    }
    std::vector<Limit> limits;
    for (const auto& [name, scalar] : config.limits()) {
      // A limit may be zero, which is no quantity of ours.
      const ResourceVector one = InOurs(name, 1);
      if (one.empty() || limits.size() >= kMaxLimits) continue;
      const Resource resource = one.begin()->resource;
      limits.push_back(
          {resource, InOurs(name, scalar.value()).Get(resource), allocated.all().Get(resource)});
    }
    std::sort(limits.begin(), limits.end(),
              [](const Limit& a, const Limit& b) { return a.resource.name() < b.resource.name(); });
    limits_[config.role()] = std::move(limits);
  }
}

std::string RoleQuotas::WhyHeldBack(absl::string_view role,
                                    const std::vector<ResourceVector>& wanted) const {
  for (absl::string_view at = role;; at = at.substr(0, at.rfind('/'))) {
    if (auto it = limits_.find(at); it != limits_.end()) {
      std::vector<std::string> short_of;
      for (const Limit& limit : it->second) {
        const Quantity left = limit.most - std::min(limit.most, limit.allocated);
        Quantity lacking;  // what the least of them needs that does not fit
        for (const ResourceVector& one : wanted) {
          const Quantity need = one.Get(limit.resource);
          if (left < need && (lacking.is_zero() || need < lacking)) lacking = need;
        }
        if (lacking.is_zero()) continue;
        short_of.push_back(absl::StrCat(Text(limit.resource, limit.allocated), " of ",
                                        Text(limit.resource, limit.most), " is allocated, ",
                                        Text(limit.resource, lacking), " is waited for"));
      }
      if (!short_of.empty()) {
        return absl::StrCat("is held back by the quota of role \"", at,
                            "\": ", absl::StrJoin(short_of, "; "));
      }
    }
    if (at.rfind('/') == absl::string_view::npos) return "";
  }
}

}  // namespace kartograph::executor::mesos
