#include "scheduler/live_graph.h"

#include <algorithm>

namespace kartograph::scheduler {

void LiveGraph::AddResources(const planner::ResourceVector& consumption) {
  for (const auto& entry : consumption) {
    if (std::find(resources_.begin(), resources_.end(), entry.resource) == resources_.end()) {
      resources_.push_back(entry.resource);
    }
  }
}

size_t LiveGraph::CountResourcesWith(const planner::ResourceVector& consumption) const {
  return resources_.size() + static_cast<size_t>(std::count_if(
                                 consumption.begin(), consumption.end(), [this](const auto& entry) {
                                   return std::find(resources_.begin(), resources_.end(),
                                                    entry.resource) == resources_.end();
                                 }));
}

uint32_t LiveGraph::InternPolicy(const planner::TaskPolicy& policy) {
  // Neighbouring tasks mostly share theirs, and a graph has few: search from the newest.
  constexpr size_t kLookBack = 16;
  for (size_t i = policies.size(); i > 0 && policies.size() - i < kLookBack; --i) {
    if (policies[i - 1] == policy) return static_cast<uint32_t>(i - 1);
  }
  policies.push_back(policy);
  return static_cast<uint32_t>(policies.size() - 1);
}

planner::GraphState LiveGraph::FinalState() const {
  auto count = [this](planner::TaskState s) { return counts.by_state[static_cast<int>(s)]; };
  if (count(planner::TaskState::kFailed) > 0) return planner::GraphState::kFailed;
  if (count(planner::TaskState::kCancelled) > 0) return planner::GraphState::kCancelled;
  return planner::GraphState::kSucceeded;
}

GraphSnapshot SnapshotOf(const LiveGraph& graph) {
  GraphSnapshot snapshot;
  snapshot.graph = graph.id;
  snapshot.name = graph.name;
  snapshot.client_queue = graph.client_queue;
  snapshot.fail_fast = graph.fail_fast;
  snapshot.open = graph.open;
  snapshot.open_until_idle = graph.open_until_idle;
  snapshot.deliver_end = graph.deliver_end;
  snapshot.details = graph.details;
  snapshot.user = graph.user;
  snapshot.share = graph.share;
  snapshot.cap = graph.cap;
  snapshot.counts = graph.counts;
  snapshot.submit_time = graph.submit_time;
  return snapshot;
}

}  // namespace kartograph::scheduler
