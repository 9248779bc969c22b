// Which agents meet which constraints.
#ifndef KARTOGRAPH_PLANNER_ELIGIBILITY_H_
#define KARTOGRAPH_PLANNER_ELIGIBILITY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "planner/constraints.h"

namespace re2 {
class RE2;
}

namespace kartograph::planner {

// Patterns are those of RE2, whose time grows linearly with the text. Empty where it is one of at
// most kMaxConstraintBytes bytes; otherwise what is wrong with it, to be put after it.
std::string PatternProblem(absl::string_view pattern);

// What constraints see of an agent. A name may come several times: one of the values is enough.
struct AgentTraits {
  std::string id;
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes;
  bool operator==(const AgentTraits&) const = default;
};

// Keeps for each set of constraints in use the agents that meet it, so that a plan asks in constant
// time. A change costs with the agents, or with the sets. Thread-compatible.
class Eligibility {
 public:
  using AgentId = uint32_t;  // the packer's
  using SetId = uint32_t;    // small numbers; those of what was released are used again

  // The set of these, to be released as often as it was asked for. A pattern that is none matches
  // nothing.
  SetId Use(const Constraints& constraints);
  void Release(SetId set);
  size_t size() const { return ids_.size(); }

  // Whether that changes anything. An agent of which nothing was said has no traits at all.
  bool SetTraits(AgentId agent, const AgentTraits& traits);
  // The agent is gone; its number may be used again.
  void Remove(AgentId agent);

  bool Allows(SetId set, AgentId agent) const {
    const std::vector<bool>& meets = sets_[set].meets;
    return agent < meets.size() && meets[agent];
  }
  const absl::btree_set<AgentId>& Allowed(SetId set) const { return sets_[set].allowed; }
  // Whether an agent meets both.
  bool HaveCommon(SetId a, SetId b) const;

  const Constraints& constraints(SetId set) const { return sets_[set].constraints; }
  // The one of constraints(set).all() at this place.
  bool Meets(SetId set, size_t place, AgentId agent) const;

 private:
  struct Set {
    Constraints constraints;
    // Of each constraint; null where it has none.
    std::vector<std::shared_ptr<const re2::RE2>> patterns;
    int users = 0;            // 0: the place is not in use
    std::vector<bool> meets;  // by agent
    absl::btree_set<AgentId> allowed;
  };
  struct Known {
    bool there = false;
    AgentTraits traits;
  };

  static bool Holds(const Constraint& constraint, const re2::RE2* pattern,
                    const AgentTraits& traits);
  void Judge(Set& set, AgentId agent) const;
  void JudgeForAll(AgentId agent);

  std::vector<Set> sets_;
  std::vector<SetId> free_;  // places of sets_ that are not in use
  absl::flat_hash_map<Constraints, SetId> ids_;
  std::vector<Known> agents_;
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_ELIGIBILITY_H_
