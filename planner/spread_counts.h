// How many attempts of each group are on each agent.
#ifndef KARTOGRAPH_PLANNER_SPREAD_COUNTS_H_
#define KARTOGRAPH_PLANNER_SPREAD_COUNTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "planner/ids.h"

namespace kartograph::planner {

// Thread-compatible.
class SpreadCounts {
 public:
  using AgentId = uint32_t;  // the packer's
  using GroupId = uint32_t;  // small numbers; those of what was released are used again

  // A graph's group, to be released as often as it was asked for; then nothing of it is on an
  // agent.
  GroupId Use(GraphId graph, const std::string& group);
  void Release(GroupId group);
  size_t size() const { return ids_.size(); }

  int On(GroupId group, AgentId agent) const {
    auto it = groups_[group].on.find(agent);
    return it == groups_[group].on.end() ? 0 : it->second;
  }
  void Add(GroupId group, AgentId agent) { ++groups_[group].on[agent]; }
  // Dies where there is none.
  void Remove(GroupId group, AgentId agent);

 private:
  struct Group {
    std::pair<GraphId, std::string> name;
    int users = 0;                         // 0: the place is not in use
    absl::flat_hash_map<AgentId, int> on;  // more than 0
  };

  std::vector<Group> groups_;
  std::vector<GroupId> free_;  // places of groups_ that are not in use
  absl::flat_hash_map<std::pair<GraphId, std::string>, GroupId> ids_;
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_SPREAD_COUNTS_H_
