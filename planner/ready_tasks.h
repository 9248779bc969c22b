// What goes first: the ready tasks of all graphs, in order, by what they consume.
#ifndef KARTOGRAPH_PLANNER_READY_TASKS_H_
#define KARTOGRAPH_PLANNER_READY_TASKS_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
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

// A ready task's place among those of all graphs: priority, then the graphs' scores (the older
// graph first where they are the same), then as in its graph. Less is first.
struct ReadyOrder {
  int32_t priority = 0;
  Score score = 0;
  uint32_t rank = 0;
  TaskKey task;

  std::strong_ordering operator<=>(const ReadyOrder& other) const {
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

// A change of a graph's score costs with the distinct consumptions and priorities of its ready
// tasks, not with their number. Thread-compatible, deterministic.
class ReadyTasks {
 public:
  using ClassId = uint32_t;  // a distinct consumption; small numbers

  void Add(ClassId consumption, const ReadyKey& key);
  // Dies if it is not there.
  void Remove(ClassId consumption, const ReadyKey& key);
  void RemoveFirst(ClassId consumption);

  // There is one.
  ReadyOrder First(ClassId consumption) const;
  bool empty(ClassId consumption) const { return size(consumption) == 0; }
  size_t size(ClassId consumption) const {
    return consumption < classes_.size() ? classes_[consumption].size : 0;
  }
  size_t size() const { return size_; }

  // A graph has the score 0 until it is set.
  void SetScore(GraphId graph, Score score);
  Score ScoreOf(GraphId graph) const;
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
  struct Class {
    absl::btree_map<BucketKey, Bucket> buckets;  // none is empty
    size_t size = 0;
  };
  struct Place {
    ClassId consumption;
    int32_t priority;
    bool operator==(const Place&) const = default;
  };
  struct Graph {
    Score score = 0;
    absl::InlinedVector<Place, 2> places;  // of its buckets
  };

  void Erase(ClassId consumption, absl::btree_map<BucketKey, Bucket>::iterator bucket,
             Bucket::iterator task);

  std::vector<Class> classes_;
  absl::flat_hash_map<GraphId, Graph> graphs_;  // with ready tasks, or with a score
  size_t size_ = 0;
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_READY_TASKS_H_
