// A graph on its way into the core: checked, ranked and in the core's own form, made on any thread.
#ifndef KARTOGRAPH_SCHEDULER_PREPARED_GRAPH_H_
#define KARTOGRAPH_SCHEDULER_PREPARED_GRAPH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "planner/constraints.h"
#include "planner/ids.h"
#include "planner/problems.h"
#include "planner/resources.h"
#include "planner/spread.h"
#include "scheduler/live_graph.h"
#include "scheduler/submission.h"
#include "storage/history.h"

namespace kartograph::scheduler {

// Many strings, in few large pieces: 8 bytes for each beside its own. Thread-compatible.
class StringTable {
 public:
  void Add(absl::string_view text);
  size_t size() const { return ends_.size(); }
  absl::string_view operator[](size_t i) const;

 private:
  static constexpr size_t kPieceBytes = 1 << 20;
  struct End {
    uint32_t piece;
    uint32_t offset;
  };
  std::vector<std::string> pieces_;
  std::vector<End> ends_;
};

// What the core takes over at a cost that does not grow with its tasks, but for the little that
// needs the live state. A movable value; made by GraphDraft from a submission, or by GraphLoader
// from the history.
//
// Its tasks are ranked by the longest remaining path. The length of a task is how long it is
// expected to take, by its client or by what was learnt of its kind or consumption, times one and
// the share of the scarcest resource that it consumes. A task of which nothing is known takes as
// long as the others do on average.
struct PreparedGraph {
  struct Consumption {
    planner::ResourceVector resources;
    planner::Constraints constraints;
    planner::Spread spread;
    absl::Duration longest_timeout;
    std::string text;  // planner::ConsumptionText
  };

  // States, counts and pending predecessors are set. A task's `consumption` is an index into
  // `consumptions`.
  std::unique_ptr<LiveGraph> live = std::make_unique<LiveGraph>();
  std::vector<Consumption> consumptions;
  // Tasks that wait for no other, the most urgent first.
  std::vector<planner::TaskIndex> ready;

  // --- of a submission ---
  StringTable payloads;
  storage::Labels labels;
  // Of the few tasks that have any.
  struct Extras {
    std::string details;
    std::vector<std::string> blobs;
  };
  absl::flat_hash_map<planner::TaskIndex, Extras> extras;
  // What is wrong with it; then only names and consumptions are set.
  std::vector<planner::Problem> problems;

  // --- of a graph from the history ---
  // Attempts that had not ended when last written.
  std::vector<storage::AttemptLaunched> alive;
  // When the newest attempt of a task ended, where that was a failure.
  absl::flat_hash_map<planner::TaskIndex, absl::Time> failed_at;
  // The agent of that attempt, where the task avoids it.
  absl::flat_hash_map<planner::TaskIndex, std::string> avoided;
  // Tasks that come after one that did not succeed, but are not written as skipped yet.
  std::vector<GraphProgress::Skip> skip;
  // Tasks that are to run again, whose reset is still to be written.
  std::vector<planner::TaskIndex> reset;

  size_t size() const { return live->tasks.size(); }
  // What is written of a submission, which has an id and a time, and of its tasks.
  storage::GraphSubmitted GraphRecord(storage::GraphWork work) const;
  storage::TaskSubmitted TaskRecord(planner::TaskIndex task) const;
};

// Finds the consumptions of a graph's tasks again: an index into PreparedGraph::consumptions.
struct ConsumptionIndex {
  absl::flat_hash_map<planner::ResourceVector, uint32_t> anywhere;
  // With constraints, or spread.
  absl::flat_hash_map<std::pair<planner::Constraints, planner::Spread>,
                      absl::flat_hash_map<planner::ResourceVector, uint32_t>>
      constrained;
};

// A graph as it is received, task by task: about a hundred bytes for each beside its payload.
// Thread-compatible.
class GraphDraft {
 public:
  // With the tasks in `head`, if any.
  explicit GraphDraft(GraphSubmission head);
  GraphDraft(GraphDraft&&) = default;
  GraphDraft& operator=(GraphDraft&&) = default;

  void Add(const TaskSubmission& task);
  size_t size() const { return graph_.size(); }
  // Finds all problems of names and dependencies, or ranks the tasks by what is known of them
  // (null: nothing). Time grows linearly.
  PreparedGraph Prepare(const UsageTable* usage = nullptr) &&;

 private:
  PreparedGraph graph_;
  ConsumptionIndex consumptions_;
  // Names of predecessors, task after task, and where those of each task end.
  StringTable after_;
  std::vector<uint32_t> after_ends_;
};

// GraphDraft in one call.
PreparedGraph Prepare(GraphSubmission submission, const UsageTable* usage = nullptr);

// Reads graphs of the history. Thread-compatible.
class GraphLoader : public storage::GraphVisitor {
 public:
  enum Purpose {
    kResume,  // as they were when last written
    kRetry,   // tasks that did not succeed run again
  };
  // `usage`, as in GraphDraft::Prepare, outlives this.
  explicit GraphLoader(Purpose purpose, const UsageTable* usage = nullptr)
      : purpose_(purpose), usage_(usage) {}

  void OnGraph(const storage::GraphSubmitted& graph, const storage::GraphChanged& state) override;
  void OnTask(const storage::TaskSubmitted& task, uint32_t attempts_before) override;
  void OnAttempt(const storage::AttemptLaunched& launched,
                 const storage::AttemptEnded* ended) override;
  void OnTaskEnded(const storage::TaskEnded& ended) override;

  // The graphs that were visited, in that order. FailedPrecondition for a retry of a task that was
  // launched as often as a task can be. Call once.
  absl::StatusOr<std::vector<PreparedGraph>> Finish();

 private:
  struct Loading {
    PreparedGraph graph;
    bool retry = false;
    ConsumptionIndex consumptions;
    std::vector<std::vector<planner::TaskIndex>> after;
    // Final tasks, and those for which a cancel was asked.
    std::vector<std::pair<planner::TaskIndex, planner::TaskState>> ended;
  };
  absl::Status Complete(Loading& loading) const;

  const Purpose purpose_;
  const UsageTable* const usage_;
  std::vector<Loading> loading_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_PREPARED_GRAPH_H_
