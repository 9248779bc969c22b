#include "executor/mesos/framework/open_offers.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/utf8.h"
#include "executor/wire/attempt.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::Attribute;
using kartograph::mesos::Value;

namespace {

std::string TextOf(const Attribute& attribute) {
  switch (attribute.type()) {
    case Value::SCALAR:
      return absl::StrCat(attribute.scalar().value());
    case Value::SET:
      return absl::StrJoin(attribute.set().item(), ",");
    case Value::RANGES:
      return absl::StrJoin(attribute.ranges().range(), ",",
                           [](std::string* out, const Value::Range& range) {
                             absl::StrAppend(out, range.begin(), "-", range.end());
                           });
    default:
      return attribute.text().value();
  }
}

std::string RoleOf(const kartograph::mesos::Offer& offer) {
  return offer.has_allocation_info() ? offer.allocation_info().role() : "*";
}

}  // namespace

AgentId ToAgentId(const AgentKey& key, const std::vector<std::string>& roles) {
  return key.role == roles.front() ? key.agent : absl::StrCat(key.agent, "@", key.role);
}

AgentKey ToAgentKey(const AgentId& id, const std::vector<std::string>& roles) {
  const size_t at = id.find('@');
  if (at == std::string::npos) return {id, roles.front()};
  return {id.substr(0, at), id.substr(at + 1)};
}

std::vector<std::pair<std::string, std::string>> AttributesOf(
    const google::protobuf::RepeatedPtrField<Attribute>& attributes) {
  std::vector<std::pair<std::string, std::string>> texts;
  texts.reserve(static_cast<size_t>(attributes.size()));
  for (const Attribute& attribute : attributes) {
    texts.emplace_back(ValidUtf8(attribute.name()), ValidUtf8(TextOf(attribute)));
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

std::vector<std::pair<std::string, std::string>> AttributesOf(
    const google::protobuf::RepeatedPtrField<Attribute>& attributes, const AgentKey& key) {
  std::vector<std::pair<std::string, std::string>> texts = AttributesOf(attributes);
  for (const auto& [name, value] :
       {std::pair(kIdAttribute, key.agent), std::pair(kRoleAttribute, key.role)}) {
    const bool is_taken = std::any_of(
        texts.begin(), texts.end(), [name = name](const auto& text) { return text.first == name; });
    if (!is_taken) texts.emplace_back(name, ValidUtf8(value));
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

Offer OpenOffers::Add(const kartograph::mesos::Offer& offer) {
  Remove(offer.id().value());  // the newer one counts
  const AgentKey key = {offer.agent_id().value(), RoleOf(offer)};
  Offer added;
  added.id = offer.id().value();
  added.agent = ToAgentId(key, options_.roles);
  added.agent_name = ValidUtf8(offer.hostname());
  OfferedResources offered(options_.revocable);
  offered.Add(offer.resources());
  OfAgent& of_agent = by_agent_[added.agent];
  const bool needs_executor = of_agent.reduced.empty() &&
                              executors_->Find(offer.executor_ids(), key.role, offered) == nullptr;
  const planner::ResourceVector& own = executors_->options().resources;
  if (!needs_executor || own.FitsIn(offered.available())) added.resources = offered.available();
  if (needs_executor && !added.resources.empty()) {
    added.resources -= own;
    of_agent.reduced = added.id;
  }
  added.attributes = AttributesOf(offer.attributes(), key);
  added.unavailable_from = UnavailableFrom(offer);
  of_agent.ids.push_back(added.id);
  offers_[added.id] = offer;
  return added;
}

// A start beyond the range of clocks does not count; one that is past is under way. Without a
// duration there is no end.
absl::Time OpenOffers::UnavailableFrom(const kartograph::mesos::Offer& offer) const {
  if (!offer.has_unavailability()) return absl::InfiniteFuture();
  const kartograph::mesos::Unavailability& window = offer.unavailability();
  const absl::Time start = wire::TimeFromNanos(std::max<int64_t>(window.start().nanoseconds(), 0))
                               .value_or(absl::InfiniteFuture());
  if (!window.has_duration()) return start;
  const absl::Duration length =
      absl::Nanoseconds(std::max<int64_t>(window.duration().nanoseconds(), 0));
  return start + length <= options_.clock->WallNow() ? absl::InfiniteFuture() : start;
}

bool OpenOffers::IsLeaving(const OfferId& id) const {
  auto it = offers_.find(id);
  return it != offers_.end() && UnavailableFrom(it->second) != absl::InfiniteFuture();
}

bool OpenOffers::Remove(const OfferId& id) {
  auto it = offers_.find(id);
  if (it == offers_.end()) return false;
  const AgentId agent =
      ToAgentId({it->second.agent_id().value(), RoleOf(it->second)}, options_.roles);
  offers_.erase(it);
  auto of_agent = by_agent_.find(agent);
  std::vector<OfferId>& ids = of_agent->second.ids;
  ids.erase(std::remove(ids.begin(), ids.end(), id), ids.end());
  if (of_agent->second.reduced == id) of_agent->second.reduced.clear();
  if (ids.empty()) by_agent_.erase(of_agent);
  return true;
}

void OpenOffers::Clear() {
  offers_.clear();
  by_agent_.clear();
}

std::optional<OpenOffers::Taken> OpenOffers::Take(const AgentId& agent) {
  auto it = by_agent_.find(agent);
  if (it == by_agent_.end()) return std::nullopt;
  Taken taken = {ToAgentKey(agent, options_.roles), std::move(it->second.ids),
                 OfferedResources(options_.revocable)};
  by_agent_.erase(it);
  google::protobuf::RepeatedPtrField<kartograph::mesos::ExecutorID> running;
  for (const OfferId& id : taken.ids) {
    const kartograph::mesos::Offer& offer = offers_.at(id);
    taken.resources.Add(offer.resources());
    running.MergeFrom(offer.executor_ids());
    offers_.erase(id);
  }
  taken.executor = executors_->Find(running, taken.key.role, taken.resources);
  return taken;
}

}  // namespace kartograph::executor::mesos
