#include "planner/spread_counts.h"

#include <cstdlib>

namespace kartograph::planner {

SpreadCounts::GroupId SpreadCounts::Use(GraphId graph, const std::string& group) {
  auto [it, is_new] = ids_.try_emplace(std::pair(graph, group), 0);
  if (is_new) {
    if (free_.empty()) {
      free_.push_back(static_cast<GroupId>(groups_.size()));
      groups_.emplace_back();
    }
    it->second = free_.back();
    free_.pop_back();
    groups_[it->second].name = it->first;
  }
  ++groups_[it->second].users;
  return it->second;
}

void SpreadCounts::Release(GroupId id) {
  if (--groups_[id].users > 0) return;
  if (!groups_[id].on.empty()) std::abort();
  ids_.erase(groups_[id].name);
  groups_[id] = Group();
  free_.push_back(id);
}

void SpreadCounts::Remove(GroupId group, AgentId agent) {
  auto it = groups_[group].on.find(agent);
  if (it == groups_[group].on.end()) std::abort();
  if (--it->second == 0) groups_[group].on.erase(it);
}

}  // namespace kartograph::planner
