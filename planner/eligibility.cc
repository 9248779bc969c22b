#include "planner/eligibility.h"

#include <re2/re2.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

// Of a compiled pattern, and of what matching it remembers.
constexpr int64_t kPatternBytes = 1 << 20;

std::shared_ptr<const re2::RE2> Compile(absl::string_view pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kPatternBytes);
  return std::make_shared<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()),
                                          options);
}

}  // namespace

std::string PatternProblem(absl::string_view pattern) {
  if (std::string problem = AttributeValueProblem(pattern); !problem.empty()) return problem;
  const std::shared_ptr<const re2::RE2> compiled = Compile(pattern);
  if (compiled->ok()) return "";
  return absl::StrCat("is not a regular expression as RE2 has them: ", compiled->error());
}

bool Eligibility::Holds(const Constraint& constraint, const re2::RE2* pattern,
                        const AgentTraits& traits) {
  const auto fits = [&](const std::string& value) {
    return pattern != nullptr ? pattern->ok() && re2::RE2::FullMatch(value, *pattern)
                              : std::find(constraint.values.begin(), constraint.values.end(),
                                          value) != constraint.values.end();
  };
  bool holds = false;
  if (constraint.attribute == kAgentName) {
    holds = fits(traits.name);
  } else if (constraint.attribute == kAgentId) {
    holds = fits(traits.id);
  } else {
    holds = std::any_of(traits.attributes.begin(), traits.attributes.end(), [&](const auto& a) {
      return a.first == constraint.attribute && fits(a.second);
    });
  }
  return holds != constraint.negated;
}

void Eligibility::Judge(Set& set, AgentId agent) const {
  const Known& known = agents_[agent];
  bool meets = known.there;
  for (size_t i = 0; meets && i < set.patterns.size(); ++i) {
    meets = Holds(set.constraints.all()[i], set.patterns[i].get(), known.traits);
  }
  if (set.meets.size() <= agent) set.meets.resize(agents_.size());
  set.meets[agent] = meets;
  if (meets) {
    set.allowed.insert(agent);
  } else {
    set.allowed.erase(agent);
  }
}

Eligibility::SetId Eligibility::Use(const Constraints& constraints) {
  auto [it, is_new] = ids_.try_emplace(constraints, 0);
  if (!is_new) {
    ++sets_[it->second].users;
    return it->second;
  }
  if (free_.empty()) {
    free_.push_back(static_cast<SetId>(sets_.size()));
    sets_.emplace_back();
  }
  it->second = free_.back();
  free_.pop_back();
  Set& set = sets_[it->second];
  set.users = 1;
  set.constraints = constraints;
  for (const Constraint& constraint : constraints.all()) {
    set.patterns.push_back(constraint.op == Constraint::Operator::kMatches
                               ? Compile(constraint.values.front())
                               : nullptr);
  }
  for (AgentId agent = 0; agent < agents_.size(); ++agent) Judge(set, agent);
  return it->second;
}

void Eligibility::Release(SetId id) {
  if (--sets_[id].users > 0) return;
  ids_.erase(sets_[id].constraints);
  sets_[id] = Set();
  free_.push_back(id);
}

bool Eligibility::SetTraits(AgentId agent, const AgentTraits& traits) {
  if (agents_.size() <= agent) agents_.resize(agent + 1);
  Known& known = agents_[agent];
  if (known.there && known.traits == traits) return false;
  known = {true, traits};
  JudgeForAll(agent);
  return true;
}

void Eligibility::Remove(AgentId agent) {
  if (agents_.size() <= agent) return;
  agents_[agent] = Known();
  JudgeForAll(agent);
}

void Eligibility::JudgeForAll(AgentId agent) {
  for (Set& set : sets_) {
    if (set.users > 0) Judge(set, agent);
  }
}

bool Eligibility::HaveCommon(SetId a, SetId b) const {
  const bool a_has_less = Allowed(a).size() < Allowed(b).size();
  const absl::btree_set<AgentId>& fewer = Allowed(a_has_less ? a : b);
  return std::any_of(fewer.begin(), fewer.end(),
                     [&](AgentId agent) { return Allows(a_has_less ? b : a, agent); });
}

bool Eligibility::Meets(SetId id, size_t place, AgentId agent) const {
  const Set& set = sets_[id];
  return agent < agents_.size() && agents_[agent].there &&
         Holds(set.constraints.all()[place], set.patterns[place].get(), agents_[agent].traits);
}

}  // namespace kartograph::planner
