// The run history: everything that happened to every attempt. Two interfaces: the one writer, and
// any number of readers.
#ifndef KARTOGRAPH_STORAGE_HISTORY_H_
#define KARTOGRAPH_STORAGE_HISTORY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/records.h"

namespace kartograph::storage {

// Which history a database is. Made at random with the database, so that a copy has it too.
struct Identity {
  std::string history;
  // A number for each start of a service on this history (each OpenHistory), drawn at random then;
  // oldest first, the last is the present one's. What carries a number that is not here was made by
  // a newer copy, or by another history; as is what is thousands of starts old.
  std::vector<uint64_t> incarnations;
};

// Receives a graph's whole live part, in this order: graph, its tasks by index, then the attempts,
// the ends of tasks.
class GraphVisitor {
 public:
  virtual ~GraphVisitor() = default;
  virtual void OnGraph(const GraphSubmitted& graph, const GraphChanged& state) = 0;
  // `payload` is empty: it is read again at launch. `attempts_before` as in TaskReset.
  virtual void OnTask(const TaskSubmitted& task, uint32_t attempts_before) = 0;
  // `ended` is null for an attempt that was alive when last written. Its return_value is left out.
  virtual void OnAttempt(const AttemptLaunched& launched, const AttemptEnded* ended) = 0;
  virtual void OnTaskEnded(const TaskEnded& ended) = 0;
};

struct GraphRow {
  GraphSubmitted graph;
  GraphChanged state;
  // Tasks by final state (index: TaskState) and in all. For a running graph only what is final is
  // counted by state.
  int64_t counts[planner::kTaskStates] = {};
  int64_t tasks = 0;
};

// A delivery: a task that has ended, or a graph.
struct Finished {
  int64_t delivery_id = 0;
  // The graph, as it is now; then nothing else is set.
  std::optional<GraphRow> graph_end = {};
  planner::TaskKey task;
  std::string task_name;
  std::string task_details;
  TaskEnded ended;
  int resets = 0;             // before this end
  int attempts = 0;           // launched since the last reset
  std::string agent;          // of the last attempt, and
  std::string agent_name;     // for people
  AttemptEnded last_attempt;  // outcome kNone where there was none
  // The size of its return value, also where that is left out.
  int64_t return_value_bytes = 0;
};

// Which deliveries of a queue to read: those from `from` on but for `skip`, which is ascending.
// Return values that are larger are left out.
struct DeliveryFilter {
  int64_t from = 0;
  absl::Span<const int64_t> skip = {};
  int64_t max_value_bytes = INT64_MAX;
};

// A client's queue that has deliveries.
struct QueueRow {
  std::string name;
  int64_t size = 0;   // deliveries that are not acknowledged
  absl::Time oldest;  // when the task of its oldest delivery ended
};

// How much of the history is kept, of graphs that have ended: what is over any of these goes.
struct Keep {
  // NOLINTNEXTLINE(google-explicit-constructor): mostly by age alone
  Keep(absl::Time since_time) : since(since_time) {}
  absl::Time since;            // those that ended later
  int64_t graphs = INT64_MAX;  // the newest
  int64_t bytes = INT64_MAX;   // while the database has more in use, the oldest go
};

// Ids of shared rows that no other row refers to any more: what tasks ask for, agents, and clients'
// queues.
struct UnusedRows {
  std::vector<int64_t> settings;
  std::vector<int64_t> agents;
  std::vector<int64_t> queues;
  bool empty() const { return settings.empty() && agents.empty() && queues.empty(); }
};

// The one writer, used by the scheduler's thread alone (thread-compatible).
class HistoryWriter {
 public:
  virtual ~HistoryWriter() = default;

  // Writes all records in one transaction, in order; durable on return. On an error none of them is
  // written; ResourceExhausted for a full disk, PermissionDenied for a read-only one, and trying
  // again later is sound.
  virtual absl::Status Commit(absl::Span<const Record> records) = 0;
  // The same for what must be possible on a full disk too: it may use the space there that is kept
  // for this.
  virtual absl::Status CommitUrgent(absl::Span<const Record> records) = 0;
  // Finds out by writing whether Commit can be expected to succeed.
  virtual absl::Status CheckWritable() = 0;

  // Visits every graph that is not final, by id.
  virtual absl::Status VisitLive(GraphVisitor& visitor) = 0;
  // Marks incomplete submissions for removal: their writer is gone.
  virtual absl::Status AbandonSubmissions() = 0;
  // 0 where there is none.
  virtual absl::StatusOr<planner::GraphId> LastGraphId() = 0;
  virtual absl::StatusOr<int64_t> LastDeliveryId() = 0;
  // Keeps at this path, from now on, what History::lost is found by at the next start.
  virtual absl::Status KeepMark(const std::string& /*path*/, const Identity& /*identity*/) {
    return absl::OkStatus();  // what has no file has nothing to lose
  }

  // Of each pool the newest change, where that has a capacity; by name.
  virtual absl::StatusOr<std::vector<PoolChanged>> PoolsSet() = 0;
  // As written last; InfinitePast where it never was.
  virtual absl::StatusOr<absl::Time> LastRetentionTime() = 0;
  // All kinds of task that were learnt and not forgotten, by id.
  virtual absl::StatusOr<std::vector<KindLearnt>> Kinds() = 0;

  // Of each of these tasks, in this order; NotFound where one is not there. Many at once cost much
  // less than each alone.
  virtual absl::StatusOr<std::vector<std::string>> Payloads(
      absl::Span<const planner::TaskKey> tasks) = 0;
  // What the last attempts of the tasks that this one comes after have returned, by their names;
  // those that have returned nothing are left out. Nothing where that is more than `max_bytes`, or
  // where there are very many.
  using Values = std::vector<std::pair<std::string, std::string>>;
  virtual absl::StatusOr<std::optional<Values>> ValuesBefore(planner::TaskKey task,
                                                             int64_t max_bytes) = 0;
  // NotFound where the graph has no task of this name.
  virtual absl::StatusOr<planner::TaskKey> FindTask(planner::GraphId graph,
                                                    absl::string_view name) = 0;
  virtual absl::StatusOr<bool> HasGraph(planner::GraphId graph) = 0;
  // Nothing where the request id is new.
  virtual absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view request_id) = 0;

  // Takes these graphs out of the history, as far as each is final and ended before `before`, and
  // returns which these are; `graphs` come from FindPrunable with the same time or an earlier one.
  // They are hidden from then on; their rows go with RemoveSome.
  virtual absl::StatusOr<std::vector<planner::GraphId>> Prune(
      absl::Time before, absl::Span<const planner::GraphId> graphs) = 0;
  // Removes about `max_rows` rows of graphs that were taken out, and of what a crash left of a
  // submission. False where nothing of that is left.
  virtual absl::StatusOr<bool> RemoveSome(int64_t max_rows) = 0;
  // From now on the writer remembers which shared rows it refers to, so that nothing that
  // FindUnused finds after this is removed if it came into use meanwhile.
  virtual void BeginSweep() = 0;
  // Removes up to `max_rows` of them, and takes them out of `unused`. On an error nothing is
  // changed. Between BeginSweep and EndSweep.
  virtual absl::Status RemoveUnused(UnusedRows& unused, int64_t max_rows) = 0;
  virtual void EndSweep() = 0;
  // Removes up to `max_rows` answers to requests from before. Returns how many.
  virtual absl::StatusOr<int64_t> ForgetRequests(absl::Time before, int64_t max_rows) = 0;
};

// What the scheduler reads off its own thread, because it may take long. Reads what is committed.
// Thread-safe.
class LongReader {
 public:
  virtual ~LongReader() = default;

  // The oldest deliveries of a queue that are not acknowledged. Stops before `max_bytes` of return
  // values, but gives one at least.
  virtual absl::StatusOr<std::vector<Finished>> FinishedOf(absl::string_view client_queue,
                                                           int max_tasks, int64_t max_bytes,
                                                           const DeliveryFilter& filter) = 0;
  absl::StatusOr<std::vector<Finished>> FinishedOf(absl::string_view client_queue, int max_tasks,
                                                   int64_t max_bytes) {
    return FinishedOf(client_queue, max_tasks, max_bytes, {});
  }
  // The ids of all of them, the oldest first.
  virtual absl::StatusOr<std::vector<int64_t>> DeliveriesOf(absl::string_view client_queue,
                                                            int max_deliveries) = 0;
  // Whether a delivery of a task of this graph is not acknowledged.
  virtual absl::StatusOr<bool> HasDeliveries(planner::GraphId graph) = 0;
  // Visits one graph, final or not. NotFound.
  virtual absl::Status VisitGraph(planner::GraphId graph, GraphVisitor& visitor) = 0;
  // Up to `max_graphs` final graphs that need not be kept and have no unacknowledged delivery,
  // those that ended first before the others. Of those that are too many bytes a few at a time.
  virtual absl::StatusOr<std::vector<planner::GraphId>> FindPrunable(const Keep& keep,
                                                                     int max_graphs) = 0;
  // Shared rows that nothing refers to. The newest of each kind is left out: an id that is gone is
  // not used again. Takes time that grows with the history where there are some.
  virtual absl::StatusOr<UnusedRows> FindUnused() = 0;
};

struct AttemptRow {
  AttemptLaunched launched;
  AttemptEnded ended;              // outcome kNone while it runs; without its return value
  int64_t return_value_bytes = 0;  // the size of that
};

// Part of an attempt's return value.
struct ResultPart {
  int64_t size = 0;  // of the whole
  std::string data;
};

struct TaskRow {
  TaskSubmitted task;              // payload only where asked for
  std::optional<TaskEnded> ended;  // nothing while it is not final
  uint32_t attempts_before = 0;
  std::vector<AttemptRow> attempts;  // only where asked for; oldest first
};

struct FailureRow {
  std::string graph_name;
  std::string task_name;
  TaskEnded ended;
  std::optional<AttemptRow> last_attempt;
};

// Reads what is committed. Thread-safe; every call sees one consistent state.
class HistoryReader : public LongReader {
 public:
  virtual absl::StatusOr<GraphRow> GetGraph(planner::GraphId graph) = 0;
  // Which graphs to list: those that fit all that is given.
  struct GraphFilter {
    std::optional<planner::GraphState> state{};
    std::string name{};          // empty: any
    std::string client_queue{};  // empty: any
    std::optional<std::string> user{};
    Labels labels{};  // all of them
    absl::Time submitted_since = absl::InfinitePast();
    absl::Time submitted_before = absl::InfiniteFuture();
  };
  // Newest first, ids below `before` (0: from the newest).
  virtual absl::StatusOr<std::vector<GraphRow>> ListGraphs(planner::GraphId before, int limit,
                                                           const GraphFilter& filter) = 0;

  struct Detail {
    bool payload = false;
    bool attempts = false;
    // The list ends after the second task at the earliest, where the payloads of those before the
    // last one are larger than this together.
    int64_t max_payload_bytes = INT64_MAX;
    // Only tasks whose details fit. Called many times while the history is being read.
    std::function<bool(absl::string_view details)> where = nullptr;
    // With `where`: how many tasks are looked at, at most.
    int64_t max_rows = INT64_MAX;
  };
  // Tasks with index >= `from`, by index. With `states`, only final tasks in one of these states
  // (the others come from the scheduler).
  virtual absl::StatusOr<std::vector<TaskRow>> ListTasks(
      planner::GraphId graph, planner::TaskIndex from, int limit,
      absl::Span<const planner::TaskState> states, Detail detail) = 0;
  // These tasks, in the order given; those that are not there are left out.
  virtual absl::StatusOr<std::vector<TaskRow>> GetTasks(absl::Span<const planner::TaskKey> tasks,
                                                        Detail detail) = 0;
  // NotFound says whether it is the graph or the task. With payload and attempts.
  virtual absl::StatusOr<TaskRow> GetTask(planner::GraphId graph, absl::string_view name) = 0;
  // From byte `offset` on, which may be behind its end. NotFound for an attempt that has not ended.
  virtual absl::StatusOr<ResultPart> ReadResult(planner::AttemptId attempt, int64_t offset,
                                                int64_t max_bytes) = 0;
  // Of these blobs those that no graph of the history refers to.
  virtual absl::StatusOr<std::vector<std::string>> UnusedBlobs(
      absl::Span<const std::string> blobs) = 0;
  // Those that have deliveries, in order of names, after this one.
  virtual absl::StatusOr<std::vector<QueueRow>> ListQueues(absl::string_view after, int limit) = 0;
  // Newest first; tasks in state kFailed.
  virtual absl::StatusOr<std::vector<FailureRow>> ListFailures(int limit) = 0;
};

// The history in one SQLite database.
struct History {
  Identity identity;
  // What was in the history that was used here last and is not in this one, for people, and the
  // newest graph that it had; empty where nothing is known to be gone.
  std::string lost;
  planner::GraphId lost_graph = 0;
  std::unique_ptr<HistoryWriter> writer;
  std::shared_ptr<HistoryReader> reader;
  // The same with connections of its own, so that it never waits for those who ask `reader`.
  std::shared_ptr<LongReader> long_reader;
};

struct HistoryOptions {
  std::string path;       // of the database file; its folder exists
  bool durable = true;    // synchronous=FULL. False only for tests that say why.
  std::string mark = {};  // as in HistoryWriter::KeepMark; empty: none is looked for
};

// Opens or makes the database and migrates it to the newest schema. Errors say in one line what to
// do: FailedPrecondition for a database from a newer version or one that is in use by another
// process, DataLoss for one that is damaged or not a history, PermissionDenied, ResourceExhausted.
absl::StatusOr<History> OpenHistory(const HistoryOptions& options);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_HISTORY_H_
