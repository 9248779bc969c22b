#include "service/queries.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/utf8.h"
#include "planner/names.h"
#include "service/convert_details.h"
#include "service/messages.h"
#include "service/roles_as_one.h"
#include "service/task_size.h"
#include "service/usage.h"

namespace kartograph::service {
namespace {

using planner::GraphId;
using planner::TaskKey;
using scheduler::Snapshots;

constexpr char kGraphPages = 'g';
constexpr char kQueuePages = 'q';
constexpr size_t kMaxStoredQueue = planner::kMaxNameLength + planner::kMaxUserNameLength + 1;
constexpr int kMaxAgents = 1000;
constexpr size_t kMaxShares = 1000;
constexpr int kMaxRunning = 1000;
// What a client may allow itself with GetTaskRequest.max_bytes.
constexpr int64_t kMinTaskBytes = 64 << 10;
constexpr int64_t kMaxTaskBytes = 512 << 20;
// A state read from two places is read again where a change came between.
constexpr int kTries = 5;
// Of a graph with more that are not final no end is expected: it would take too long.
constexpr size_t kMaxExpectedTasks = 20000;

absl::Status NotFoundGraph(GraphId graph) {
  return absl::NotFoundError(absl::StrCat("no graph \"", planner::GraphIdToString(graph), "\""));
}

}  // namespace

Queries::Queries(Options options, scheduler::Scheduler* scheduler,
                 std::shared_ptr<storage::HistoryReader> history, executor::LogReader* logs)
    : options_(std::move(options)),
      scheduler_(scheduler),
      history_(std::move(history)),
      logs_(logs) {}

absl::StatusOr<storage::GraphRow> Queries::GraphRow(GraphId graph) {
  absl::StatusOr<storage::GraphRow> row = history_->GetGraph(graph);
  if (absl::IsNotFound(row.status())) return NotFoundGraph(graph);
  return row;
}

absl::Status Queries::NotFoundTask(GraphId graph, absl::string_view task) {
  const absl::StatusOr<storage::GraphRow> row = GraphRow(graph);
  if (!row.ok()) return row.status();
  return absl::NotFoundError(
      absl::StrCat("no task \"", task, "\" in graph \"", planner::GraphIdToString(graph), "\""));
}

absl::StatusOr<v1::Graph> Queries::GetGraph(const v1::GetGraphRequest& request) {
  ProblemList problems;
  const GraphId graph = ConvertGraphId(request.graph_id(), problems);
  if (!problems.empty()) return problems.ToStatus();
  // What is not live now is final in the history, if it is anywhere.
  struct Live {
    std::optional<scheduler::GraphSnapshot> graph;
    std::optional<scheduler::EndOutlook> outlook;
  };
  const Instant now = {Clock::System().SteadyNow(), absl::Now()};
  const bool expect_end = request.expect_end();
  const auto live = Inspect<Live>([graph, expect_end, now](const Snapshots& s) {
    Live found{s.Graph(graph), std::nullopt};
    if (expect_end && found.graph) found.outlook = s.Outlook(graph, kMaxExpectedTasks, now);
    return found;
  });
  if (!live.ok()) return live.status();
  if (live->graph) {
    v1::Graph message = Named(ToMessage(*live->graph));
    if (live->outlook) {
      *message.mutable_expected_end_time() =
          ToMessage(now.wall + live->outlook->ExpectedRemaining());
    }
    return message;
  }
  const absl::StatusOr<storage::GraphRow> row = GraphRow(graph);
  if (!row.ok()) return row.status();
  return Named(ToMessage(*row));
}

absl::StatusOr<std::string> Queries::SubmitterOf(GraphId graph) {
  absl::StatusOr<storage::GraphRow> row = GraphRow(graph);
  if (!row.ok()) return row.status();
  return std::move(row->graph.user);
}

v1::Graph Queries::Named(v1::Graph graph) const {
  if (graph.user().empty()) graph.set_user(options_.owner);
  return graph;
}

absl::StatusOr<v1::ListGraphsResponse> Queries::ListGraphs(const v1::ListGraphsRequest& request) {
  ProblemList problems;
  const int page_size = ConvertPageSize(request.page_size(), problems);
  const GraphId before = ConvertPageToken(request.page_token(), kGraphPages, problems);
  if (!v1::GraphState_IsValid(request.state())) {
    problems.Add("state", absl::StrCat(static_cast<int>(request.state())),
                 "is not the state of a graph; leave it out for all");
  }
  storage::HistoryReader::GraphFilter filter;
  filter.name = request.name();
  filter.client_queue = request.client_queue();
  if (!request.user().empty()) {
    filter.user = request.user() == options_.owner ? "" : request.user();
  }
  CheckLabels(request.labels(), "labels", problems);
  filter.labels = ConvertLabels(request.labels());
  if (request.has_submitted_since()) {
    filter.submitted_since = ConvertTime(request.submitted_since(), "submitted_since", problems);
  }
  if (request.has_submitted_before()) {
    filter.submitted_before = ConvertTime(request.submitted_before(), "submitted_before", problems);
  }
  if (!problems.empty()) return problems.ToStatus();
  if (request.state() != v1::GRAPH_STATE_UNSPECIFIED) {
    filter.state = static_cast<planner::GraphState>(request.state());
  }
  const auto rows = history_->ListGraphs(before, page_size + 1, filter);
  if (!rows.ok()) return rows.status();

  v1::ListGraphsResponse response;
  const size_t shown = std::min(rows->size(), static_cast<size_t>(page_size));
  std::vector<GraphId> running;
  for (size_t i = 0; i < shown; ++i) {
    const storage::GraphRow& row = (*rows)[i];
    *response.add_graphs() = Named(ToMessage(row));
    if (row.state.state == planner::GraphState::kRunning) running.push_back(row.graph.graph);
  }
  if (rows->size() > shown) {
    response.set_next_page_token(MakePageToken(kGraphPages, (*rows)[shown - 1].graph.graph));
  }
  if (running.empty()) return response;

  using Graphs = std::vector<std::optional<scheduler::GraphSnapshot>>;
  const absl::StatusOr<Graphs> live = Inspect<Graphs>([running](const Snapshots& s) {
    Graphs graphs;
    graphs.reserve(running.size());
    for (GraphId graph : running) graphs.push_back(s.Graph(graph));
    return graphs;
  });
  if (!live.ok()) return live.status();
  size_t next = 0;
  for (v1::Graph& graph : *response.mutable_graphs()) {
    if (graph.state() != v1::GRAPH_STATE_RUNNING) continue;
    const std::optional<scheduler::GraphSnapshot>& snapshot = (*live)[next];
    if (snapshot) {
      graph = Named(ToMessage(*snapshot));
    } else if (const auto row = history_->GetGraph(running[next]); row.ok()) {
      graph = Named(ToMessage(*row));  // it has ended since
    }
    ++next;
  }
  return response;
}

absl::Status Queries::ListShares(v1::ListSharesResponse& response) {
  using Shares = std::vector<scheduler::ShareSnapshot>;
  absl::StatusOr<Shares> shares = Inspect<Shares>([](const Snapshots& s) { return s.Shares(); });
  if (!shares.ok()) return shares.status();
  response.set_total(static_cast<int32_t>(shares->size()));
  std::stable_partition(shares->begin(), shares->end(), [](const scheduler::ShareSnapshot& share) {
    return share.standing.graphs > 0;
  });
  if (shares->size() > kMaxShares) shares->resize(kMaxShares);
  for (const scheduler::ShareSnapshot& snapshot : *shares) {
    const planner::FairShare::Standing& standing = snapshot.standing;
    v1::Share& share = *response.add_shares();
    absl::string_view name = standing.name;
    share.set_named(absl::ConsumePrefix(&name, "@"));
    share.set_name(name.empty() ? options_.owner : std::string(name));
    share.set_weight(standing.weight);
    share.set_held(standing.held);
    share.set_average(standing.average);
    share.set_due(snapshot.due);
    share.set_graphs(standing.graphs);
    SetConsumption(standing.holding.resources, *share.mutable_consumption());
    share.set_running(standing.holding.running);
    SetLimits(standing.cap, *share.mutable_limits());
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::ListQueuesResponse> Queries::ListQueues(const v1::ListQueuesRequest& request) {
  ProblemList problems;
  const int page_size = ConvertPageSize(request.page_size(), problems);
  const absl::string_view after = ConvertNameToken(request.page_token(), kQueuePages, problems);
  if (!problems.empty()) return problems.ToStatus();
  const auto rows = history_->ListQueues(after, page_size + 1);
  if (!rows.ok()) return rows.status();
  v1::ListQueuesResponse response;
  for (const storage::QueueRow& row : *rows) {
    if (response.queues_size() == page_size) {
      response.set_next_page_token(
          MakeNameToken(kQueuePages, response.queues(page_size - 1).name()));
      break;
    }
    v1::ClientQueue& queue = *response.add_queues();
    queue.set_name(row.name);
    queue.set_size(row.size);
    *queue.mutable_oldest_time() = ToMessage(row.oldest);
  }
  return response;
}

absl::StatusOr<v1::ListUsageResponse> Queries::ListUsage(const v1::ListUsageRequest& request) {
  return service::ListUsage(scheduler_->usage(), request);
}

absl::StatusOr<v1::Task> Queries::FullTask(const storage::TaskRow& row, size_t max_bytes) {
  std::vector<TaskKey> keys;
  for (planner::TaskIndex index : row.task.after) {
    keys.push_back(TaskKey::Of(row.task.task.graph(), index));
  }
  const absl::StatusOr<std::vector<std::string>> after = TaskNames(keys);
  if (!after.ok()) return after.status();
  v1::Task task = ToMessage(row, /*full=*/true, *after);
  for (size_t i = 0; i < row.attempts.size(); ++i) {
    const storage::AttemptLaunched& launched = row.attempts[i].launched;
    task.mutable_attempts(static_cast<int>(i))
        ->set_sandbox(ValidUtf8(logs_->SandboxOf(launched.attempt, launched.agent)));
  }
  if (task.return_value_bytes() == 0) return task;
  if (static_cast<size_t>(task.return_value_bytes()) > max_bytes) {
    task.add_omitted("return_value");
    return task;
  }
  absl::StatusOr<storage::ResultPart> value =
      history_->ReadResult(row.attempts.back().launched.attempt, 0, task.return_value_bytes());
  if (!value.ok()) return value.status();
  task.set_return_value(std::move(value->data));
  return task;
}

absl::StatusOr<v1::Task> Queries::GetTask(const v1::GetTaskRequest& request) {
  ProblemList problems;
  const GraphId graph = ConvertGraphId(request.graph_id(), problems);
  if (request.max_bytes() != 0 &&
      (request.max_bytes() < kMinTaskBytes || request.max_bytes() > kMaxTaskBytes)) {
    problems.Add("max_bytes", absl::StrCat(request.max_bytes()),
                 absl::StrCat("must be ", kMinTaskBytes, " to ", kMaxTaskBytes,
                              ", or 0 for what every client takes"));
  }
  if (!problems.empty()) return problems.ToStatus();
  const size_t max_bytes =
      request.max_bytes() == 0 ? kMaxAnswerBytes : static_cast<size_t>(request.max_bytes());
  for (int i = 0; i < kTries; ++i) {
    const absl::StatusOr<storage::TaskRow> row = history_->GetTask(graph, request.task_name());
    if (absl::IsNotFound(row.status())) return NotFoundTask(graph, request.task_name());
    if (!row.ok()) return row.status();
    absl::StatusOr<v1::Task> task = FullTask(*row, max_bytes);
    if (!task.ok()) return task;
    if (row->ended) {
      FitTask(max_bytes, *task);
      return task;
    }
    const TaskKey key = row->task.task;
    const auto live =
        Inspect<std::optional<LiveTask>>([key](const Snapshots& s) -> std::optional<LiveTask> {
          std::optional<scheduler::TaskSnapshot> snapshot = s.Task(key);
          if (!snapshot) return std::nullopt;
          return LiveTask{*std::move(snapshot), s.Attempts(key)};
        });
    if (!live.ok()) return live.status();
    // Otherwise it became final since the row was read.
    if (*live && !planner::IsFinal((*live)->task.state)) {
      Overlay((*live)->task, (*live)->attempts, *task);
      FitTask(max_bytes, *task);
      return task;
    }
  }
  return absl::UnavailableError("the task changes too fast to be read; try again");
}

absl::StatusOr<planner::AttemptId> Queries::FindResult(const v1::ReadResultRequest& request) {
  ProblemList problems;
  CheckAttemptNumber(request.attempt(), problems);
  if (request.offset() < 0) {
    problems.Add("offset", absl::StrCat(request.offset()), "must not be negative");
  }
  const GraphId graph = ConvertGraphId(request.graph_id(), problems);
  if (!problems.empty()) return problems.ToStatus();
  const auto source = FindLog(graph, request.task_name(), request.attempt());
  if (!source.ok()) return source.status();
  if (!source->launched) return NotLaunched(*source, request.task_name(), request.attempt());
  if (!source->ended) {
    return absl::FailedPreconditionError(absl::StrCat("attempt ", source->attempt.number(),
                                                      " of task \"", request.task_name(),
                                                      "\" has not ended; its result comes then"));
  }
  return source->attempt;
}

absl::StatusOr<storage::ResultPart> Queries::ReadResult(planner::AttemptId attempt, int64_t offset,
                                                        int64_t max_bytes) {
  return history_->ReadResult(attempt, offset, max_bytes);
}

absl::StatusOr<v1::ListFailuresResponse> Queries::ListFailures(
    const v1::ListFailuresRequest& request) {
  ProblemList problems;
  if (request.max_failures() < 0 || request.max_failures() > kMaxFailures) {
    problems.Add("max_failures", absl::StrCat(request.max_failures()),
                 absl::StrCat("must be 1 to ", kMaxFailures, ", or 0 for the default of ",
                              kDefaultFailures));
    return problems.ToStatus();
  }
  const int limit = request.max_failures() == 0 ? kDefaultFailures : request.max_failures();
  const auto rows = history_->ListFailures(limit);
  if (!rows.ok()) return rows.status();
  v1::ListFailuresResponse response;
  std::vector<std::optional<EndedAttempt>> attempts;
  for (const storage::FailureRow& row : *rows) {
    std::optional<EndedAttempt>& attempt = attempts.emplace_back();
    if (!row.last_attempt) continue;
    attempt = {row.last_attempt->launched.attempt, row.last_attempt->launched.agent};
  }
  const std::vector<std::string> tails = LogTails(attempts);
  for (size_t i = 0; i < rows->size(); ++i) {
    const storage::FailureRow& row = (*rows)[i];
    v1::ListFailuresResponse::Failure& failure = *response.add_failures();
    failure.set_graph_id(planner::GraphIdToString(row.ended.task.graph()));
    failure.set_graph_name(row.graph_name);
    failure.set_task_name(row.task_name);
    failure.set_message(ValidUtf8(row.ended.reason));
    *failure.mutable_end_time() = ToMessage(row.ended.end_time);
    failure.set_log_tail(tails[i]);
  }
  return response;
}

absl::StatusOr<v1::Cluster> Queries::GetCluster(const v1::GetClusterRequest&) {
  struct View {
    scheduler::ClusterSnapshot cluster;
    absl::flat_hash_map<GraphId, std::string> graph_names;
  };
  absl::StatusOr<View> view = Inspect<View>([](const Snapshots& s) {
    View view;
    view.cluster = s.Cluster(kMaxAgents, kMaxRunning);
    for (const scheduler::AttemptSnapshot& attempt : view.cluster.attempts) {
      const GraphId graph = attempt.attempt.task().graph();
      if (view.graph_names.contains(graph)) continue;
      const std::optional<scheduler::GraphSnapshot> snapshot = s.Graph(graph);
      view.graph_names[graph] = snapshot ? snapshot->name : "";
    }
    return view;
  });
  if (!view.ok()) return view.status();
  ShowRolesAsOne(&view->cluster);

  std::vector<TaskKey> keys;
  for (const auto& attempt : view->cluster.attempts) keys.push_back(attempt.attempt.task());
  const absl::StatusOr<std::vector<std::string>> names = TaskNames(keys);
  if (!names.ok()) return names.status();

  v1::Cluster message;
  message.set_connected(view->cluster.connected);
  message.set_disconnect_reason(ValidUtf8(view->cluster.disconnect_reason));
  message.set_write_error(ValidUtf8(scheduler_->write_error().message()));
  size_t bytes = 0;
  for (const auto& agent : view->cluster.agents) {
    v1::Agent entry = ToMessage(agent);
    bytes += entry.ByteSizeLong();
    if (bytes > kMaxAnswerBytes / 2) break;
    *message.add_agents() = std::move(entry);
  }
  bytes = 0;
  for (const auto& pool : view->cluster.pools) *message.add_pools() = ToMessage(pool);
  for (size_t i = 0; i < keys.size(); ++i) {
    const scheduler::AttemptSnapshot& attempt = view->cluster.attempts[i];
    v1::RunningAttempt running;
    running.set_graph_id(planner::GraphIdToString(keys[i].graph()));
    running.set_graph_name(view->graph_names.at(keys[i].graph()));
    running.set_task_name((*names)[i]);
    running.set_attempt_id(planner::AttemptIdToString(attempt.attempt));
    running.set_agent(ValidUtf8(attempt.agent_name.empty() ? attempt.agent : attempt.agent_name));
    running.set_state(ToMessage(attempt.state));
    *running.mutable_launch_time() = ToMessage(attempt.launch_time);
    SetConsumption(attempt.consumption, *running.mutable_consumption());
    if (attempt.unreachable_since != absl::InfiniteFuture()) {
      *running.mutable_unreachable_since() = ToMessage(attempt.unreachable_since);
    }
    bytes += running.ByteSizeLong();
    if (bytes > kMaxAnswerBytes / 2) break;
    *message.add_running() = std::move(running);
  }
  *message.mutable_counts() = ToMessage(view->cluster.counts);
  message.set_version(options_.version);
  *message.mutable_start_time() = ToMessage(options_.start_time);
  message.set_agent_count(static_cast<int32_t>(view->cluster.agent_count));
  return message;
}

absl::StatusOr<std::vector<std::string>> Queries::TaskNames(const std::vector<TaskKey>& tasks) {
  std::vector<std::string> names(tasks.size());
  if (tasks.empty()) return names;
  absl::StatusOr<std::vector<storage::TaskRow>> rows = history_->GetTasks(tasks, {});
  if (!rows.ok()) return rows.status();
  // Rows come in the order asked for; those that are not there are left out.
  size_t next = 0;
  for (size_t i = 0; i < tasks.size() && next < rows->size(); ++i) {
    if ((*rows)[next].task.task == tasks[i]) names[i] = std::move((*rows)[next++].task.name);
  }
  return names;
}

}  // namespace kartograph::service
