// What goes first: the ready tasks of all graphs, in order, by what they consume.
#ifndef KARTOGRAPH_PLANNER_READY_TASKS_H_
#define KARTOGRAPH_PLANNER_READY_TASKS_H_

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "planner/fair_share.h"
#include "planner/ids.h"

namespace kartograph::planner {

// A ready task as its graph knows it: priority given by people, then the longest remaining path,
// then the order of submission. Paths of different graphs are compared nowhere but here, where
// there are few: among suspects, and among tasks that go to another agent.
struct ReadyKey {
  int32_t priority = 0;
  uint32_t rank = 0;
  TaskKey task;

  // Less is first.
  bool operator<(const ReadyKey& other) const {
    if (priority != other.priority) return priority > other.priority;
    if (rank != other.rank) return rank > other.rank;
    return task < other.task;
  }
};

// When a graph's turn comes, in microseconds of the clock that says when graphs were submitted:
// lower is first. See GraphScore in graph_score.h.
using Score = int64_t;

// A ready task's place among those of all graphs: the share of the account that it is charged to
// (see FairShare), priority, then the graphs' scores (the older graph first where they are the
// same), then as in its graph. Less is first. A share is that of the moment.
struct ReadyOrder {
  int32_t priority = 0;
  Score score = 0;
  uint32_t rank = 0;
  TaskKey task;
  int64_t share = 0;

  std::strong_ordering operator<=>(const ReadyOrder& other) const {
    if (auto order = share <=> other.share; order != 0) return order;
    if (auto order = other.priority <=> priority; order != 0) return order;
    if (auto order = score <=> other.score; order != 0) return order;
    if (auto order = task.graph() <=> other.task.graph(); order != 0) return order;
    if (auto order = other.rank <=> rank; order != 0) return order;
    return task <=> other.task;
  }
  bool operator==(const ReadyOrder&) const = default;
};

// A text of a fixed length that is less, byte by byte, where the order is; of tasks of one graph
// with the same priority and rank it is the same.
std::string SortKey(const ReadyOrder& order);

// Whose ready tasks stand in one line: an account's, or those of one of its graphs that has a cap
// of its own, so that a graph at its cap does not stand before others.
struct Lane {
  FairShare::Account account = 0;
  GraphId capped = 0;  // 0: all graphs of the account without one

  auto operator<=>(const Lane&) const = default;
};

// A change of a graph's score costs with the distinct consumptions and priorities of its ready
// tasks, not with their number; a change of a share costs nothing. Thread-compatible,
// deterministic.
class ReadyTasks {
 public:
  using ClassId = uint32_t;  // a distinct consumption; small numbers
  using Account = FairShare::Account;

  void Add(ClassId consumption, const ReadyKey& key);
  // Dies if it is not there.
  void Remove(ClassId consumption, const ReadyKey& key);
  void RemoveFirst(ClassId consumption, Lane lane);

  // Of the lanes that `includes` takes, if any has one. Costs with those that have ready tasks.
  template <typename Includes>
  std::optional<ReadyOrder> First(const FairShare& shares, ClassId consumption,
                                  Includes includes) const;
  // Of one lane, which has one.
  ReadyOrder First(const FairShare& shares, ClassId consumption, Lane lane) const;
  bool Has(ClassId consumption, Lane lane) const {
    return consumption < classes_.size() && classes_[consumption].lanes.contains(lane);
  }
  // The first of each lane that has one.
  template <typename F>
  void ForEachLane(const FairShare& shares, ClassId consumption, F f) const {
    for (const auto& [lane, buckets] : classes_[consumption].lanes) {
      f(lane, FirstOf(shares.Of(lane.account), buckets));
    }
  }
  bool empty(ClassId consumption) const { return size(consumption) == 0; }
  size_t size(ClassId consumption) const {
    return consumption < classes_.size() ? classes_[consumption].size : 0;
  }
  size_t size() const { return size_; }

  // The first `most` of those that are before `order`, in order, among the consumptions and lanes
  // that `includes` takes. Looks at as many of each.
  template <typename Includes>
  std::vector<std::pair<ReadyOrder, ClassId>> FirstBefore(const FairShare& shares,
                                                          const ReadyOrder& order, size_t most,
                                                          Includes includes) const;
  // How many they are. Stops at `limit`: it costs with the number.
  template <typename Includes>
  size_t CountBefore(const FairShare& shares, const ReadyOrder& order, size_t limit,
                     Includes includes) const;

  // A graph has the score 0 until it is set.
  void SetScore(GraphId graph, Score score);
  Score ScoreOf(GraphId graph) const;
  // Which account its tasks are charged to, 0 until it is set, and whether it has a lane of its
  // own. It has no ready tasks yet.
  void SetAccount(GraphId graph, Account account, bool capped = false);
  Account AccountOf(GraphId graph) const { return LaneOf(graph).account; }
  Lane LaneOf(GraphId graph) const;
  // The graph is gone; it has no ready tasks.
  void Forget(GraphId graph) { graphs_.erase(graph); }
  // How many graphs are remembered, for tests.
  size_t graphs() const { return graphs_.size(); }

 private:
  // The tasks of one graph with one consumption and one priority.
  struct BucketKey {
    int32_t priority;
    Score score;
    GraphId graph;
    bool operator<(const BucketKey& other) const {
      if (priority != other.priority) return priority > other.priority;
      if (score != other.score) return score < other.score;
      return graph < other.graph;
    }
  };
  struct InGraph {
    uint32_t rank;
    TaskIndex index;
    bool operator<(const InGraph& other) const {
      return rank != other.rank ? rank > other.rank : index < other.index;
    }
  };
  using Bucket = absl::btree_set<InGraph>;
  using Buckets = absl::btree_map<BucketKey, Bucket>;
  struct Class {
    absl::btree_map<Lane, Buckets> lanes;  // neither they nor their buckets are empty
    size_t size = 0;
  };
  struct Place {
    ClassId consumption;
    int32_t priority;
    bool operator==(const Place&) const = default;
  };
  struct Graph {
    Score score = 0;
    Lane lane;
    absl::InlinedVector<Place, 2> places;  // of its buckets
  };

  static ReadyOrder OrderIn(int64_t share, const BucketKey& bucket, const InGraph& task) {
    return {bucket.priority, bucket.score, task.rank, TaskKey::Of(bucket.graph, task.index), share};
  }
  static ReadyOrder FirstOf(int64_t share, const Buckets& buckets) {
    const auto& [key, bucket] = *buckets.begin();
    return OrderIn(share, key, *bucket.begin());
  }
  void Erase(ClassId consumption, Lane lane, Buckets::iterator bucket, Bucket::iterator task);

  std::vector<Class> classes_;
  absl::flat_hash_map<GraphId, Graph> graphs_;  // with ready tasks, a score or a lane
  size_t size_ = 0;
};

template <typename Includes>
std::optional<ReadyOrder> ReadyTasks::First(const FairShare& shares, ClassId consumption,
                                            Includes includes) const {
  std::optional<ReadyOrder> first;
  for (const auto& [lane, buckets] : classes_[consumption].lanes) {
    const int64_t share = shares.Of(lane.account);
    if ((first && share > first->share) || !includes(lane)) continue;
    const ReadyOrder other = FirstOf(share, buckets);
    if (!first || other < *first) first = other;
  }
  return first;
}

template <typename Includes>
std::vector<std::pair<ReadyOrder, ReadyTasks::ClassId>> ReadyTasks::FirstBefore(
    const FairShare& shares, const ReadyOrder& order, size_t most, Includes includes) const {
  std::vector<std::pair<ReadyOrder, ClassId>> found;
  const auto add = [&](ClassId id, int64_t share, const Buckets& buckets) {
    size_t left = most;
    for (const auto& [bucket, tasks] : buckets) {
      for (const InGraph& task : tasks) {
        const ReadyOrder other = OrderIn(share, bucket, task);
        if (left == 0 || !(other < order)) return;
        found.emplace_back(other, id);
        --left;
      }
    }
  };
  for (ClassId id = 0; id < classes_.size(); ++id) {
    if (classes_[id].size == 0) continue;
    for (const auto& [lane, buckets] : classes_[id].lanes) {
      if (includes(id, lane)) add(id, shares.Of(lane.account), buckets);
    }
  }
  std::sort(found.begin(), found.end());
  if (found.size() > most) found.resize(most);
  return found;
}

template <typename Includes>
size_t ReadyTasks::CountBefore(const FairShare& shares, const ReadyOrder& order, size_t limit,
                               Includes includes) const {
  const BucketKey last = {order.priority, order.score, order.task.graph()};
  size_t count = 0;
  const auto add = [&](int64_t share, const Buckets& buckets) {
    if (share > order.share) return;
    for (const auto& [bucket, tasks] : buckets) {
      if (count >= limit) return;
      if (share < order.share || bucket < last) {
        count += tasks.size();
        continue;
      }
      if (last < bucket) return;
      for (const InGraph& task : tasks) {
        if (count >= limit || !(OrderIn(share, bucket, task) < order)) break;
        ++count;
      }
    }
  };
  for (ClassId id = 0; id < classes_.size() && count < limit; ++id) {
    if (classes_[id].size == 0) continue;
    for (const auto& [lane, buckets] : classes_[id].lanes) {
      if (includes(id, lane)) add(shares.Of(lane.account), buckets);
    }
  }
  return std::min(count, limit);
}

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_READY_TASKS_H_
