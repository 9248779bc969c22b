// Answers the contract's reading calls, for gRPC and HTTP alike.
#ifndef KARTOGRAPH_SERVICE_QUERIES_H_
#define KARTOGRAPH_SERVICE_QUERIES_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "api/kartograph/v1/users.pb.h"
#include "executor/cluster.h"
#include "scheduler/scheduler.h"
#include "service/convert.h"
#include "service/inspect.h"
#include "storage/history.h"

namespace kartograph::service {

// Merges what is live (from the scheduler) with what is written (from the history). Thread-safe.
// Every call may block on the disk and on the scheduler's next batch: call it on a worker thread.
// Errors are the contract's.
class Queries {
 public:
  struct Options {
    std::string version;
    absl::Time start_time;
    std::string owner{};  // the name of the service's own user
    // After this long without the scheduler's answer a call gives up (Unavailable).
    absl::Duration scheduler_timeout = absl::Seconds(30);
    // For the ends of the logs of all failures together.
    absl::Duration tails_timeout = absl::Seconds(3);
  };
  // `scheduler` and `logs` outlive this.
  Queries(Options options, scheduler::Scheduler* scheduler,
          std::shared_ptr<storage::HistoryReader> history, executor::LogReader* logs);

  absl::StatusOr<v1::Graph> GetGraph(const v1::GetGraphRequest& request);
  // The same graph with the name of the service's own user where it is that one's.
  v1::Graph Named(v1::Graph graph) const;
  // Who submitted it; empty: the service's own user. NotFound.
  absl::StatusOr<std::string> SubmitterOf(planner::GraphId graph);
  absl::StatusOr<v1::ListGraphsResponse> ListGraphs(const v1::ListGraphsRequest& request);
  absl::Status ListShares(v1::ListSharesResponse& response);
  absl::StatusOr<v1::ListQueuesResponse> ListQueues(const v1::ListQueuesRequest& request);
  absl::StatusOr<v1::ListUsageResponse> ListUsage(const v1::ListUsageRequest& request);
  absl::StatusOr<v1::ListTasksResponse> ListTasks(const v1::ListTasksRequest& request);
  absl::StatusOr<v1::Task> GetTask(const v1::GetTaskRequest& request);
  // Of 1 to kMaxFailures; 0 means kDefaultFailures.
  static constexpr int kDefaultFailures = 10;
  static constexpr int kMaxFailures = 100;
  absl::StatusOr<v1::ListFailuresResponse> ListFailures(const v1::ListFailuresRequest& request);
  absl::StatusOr<v1::Cluster> GetCluster(const v1::GetClusterRequest& request);
  absl::StatusOr<v1::ExplainTaskResponse> ExplainTask(const v1::ExplainTaskRequest& request);
  absl::StatusOr<v1::ExplainGraphResponse> ExplainGraph(const v1::ExplainGraphRequest& request);
  absl::StatusOr<v1::ListPoolsResponse> ListPools(const v1::ListPoolsRequest& request);

  // How tasks are now, by index from `from` on; the first of them that is not there is the end.
  struct TaskStatus {
    std::string name;
    planner::TaskState state = planner::TaskState::kWaiting;
    int attempts = 0;  // since the last reset
    std::string reason;
  };
  absl::StatusOr<std::vector<TaskStatus>> TaskStatuses(planner::GraphId graph,
                                                       planner::TaskIndex from, int limit);

  // The names of tasks, in the order given; empty where there is none.
  absl::StatusOr<std::vector<std::string>> TaskNames(const std::vector<planner::TaskKey>& tasks);

  // An attempt whose log is to be read.
  struct LogSource {
    planner::TaskKey task;
    bool launched = false;  // otherwise the rest is not set
    bool task_final = false;
    uint32_t newest = 0;  // the number of the task's newest attempt
    planner::AttemptId attempt;
    executor::AgentId agent;
    bool ended = false;
  };
  // `number` 0: the last attempt. NotFound for graph and task, not for the attempt: it may still
  // come.
  absl::StatusOr<LogSource> FindLog(planner::GraphId graph, absl::string_view task, int32_t number);
  // NotFound that says why there is no such attempt.
  static absl::Status NotLaunched(const LogSource& source, absl::string_view task, int32_t number);
  // The attempt whose return value is asked for. FailedPrecondition where it has not ended.
  absl::StatusOr<planner::AttemptId> FindResult(const v1::ReadResultRequest& request);
  absl::StatusOr<storage::ResultPart> ReadResult(planner::AttemptId attempt, int64_t offset,
                                                 int64_t max_bytes);
  // The ends of the logs of these attempts, in this order; empty where there is none, or where its
  // agent has not answered in time. All are read at once, so that many on an agent that does not
  // answer take as long as one.
  struct EndedAttempt {
    planner::AttemptId attempt;
    executor::AgentId agent;
  };
  std::vector<std::string> LogTails(const std::vector<std::optional<EndedAttempt>>& attempts);
  // Part of a log as it is now. NotFound where there is no such attempt, or no log (any more).
  absl::StatusOr<executor::LogChunk> ReadLog(const v1::ReadLogRequest& request, int64_t max_bytes);

 private:
  struct LiveTask {
    scheduler::TaskSnapshot task;
    std::vector<scheduler::AttemptSnapshot> attempts;
  };
  template <typename T>
  absl::StatusOr<T> Inspect(std::function<T(const scheduler::Snapshots&)> read) {
    return InspectWithin<T>(*scheduler_, options_.scheduler_timeout, std::move(read));
  }
  absl::StatusOr<storage::GraphRow> GraphRow(planner::GraphId graph);
  absl::Status NotFoundTask(planner::GraphId graph, absl::string_view task);
  absl::StatusOr<v1::ExplainTaskResponse> ExplainEnded(const storage::TaskRow& row);
  absl::StatusOr<std::optional<storage::TaskRow>> SkippedBecauseOf(const storage::TaskRow& skipped);
  // Nothing where it is not live any more.
  absl::StatusOr<std::optional<v1::ExplainTaskResponse>> ExplainLive(planner::TaskKey task);
  // In slices, between which the scheduler goes on.
  absl::StatusOr<scheduler::GraphSlice> OutlineOf(planner::GraphId graph);
  // Return values of more than `max_bytes` are omitted.
  absl::StatusOr<v1::Task> FullTask(const storage::TaskRow& row, size_t max_bytes);
  // Which tasks to list, and what was found: rows by index, with what is live of them.
  struct TaskList {
    planner::GraphId graph;
    int page_size;
    planner::TaskIndex from;
    std::vector<planner::TaskState> states;  // empty: all
    storage::Labels labels;
    bool full;

    std::vector<storage::TaskRow> rows = {};
    absl::flat_hash_map<planner::TaskKey, LiveTask> live = {};
    std::optional<planner::TaskIndex> next = {};  // where the next page begins, if there is one
  };
  absl::Status ReadTasks(TaskList& list);
  absl::Status ReadTasksByLabel(TaskList& list);
  absl::Status FillTasks(const std::vector<storage::TaskRow>& rows, bool full,
                         v1::ListTasksResponse& response);
  struct Tail;
  static void ReadTail(executor::LogReader* logs, std::shared_ptr<Tail> tail);
  absl::StatusOr<executor::LogChunk> ReadChunk(const executor::LogRequest& request);

  const Options options_;
  scheduler::Scheduler* const scheduler_;
  const std::shared_ptr<storage::HistoryReader> history_;
  executor::LogReader* const logs_;
};

// Checks a request for a log; 0 attempts and streams are the contract's defaults.
planner::GraphId CheckReadLog(const v1::ReadLogRequest& request, ProblemList& problems);
executor::LogStream ToLogStream(v1::LogStream stream);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_QUERIES_H_
