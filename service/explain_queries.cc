// What tasks and graphs wait for, and pools.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/utf8.h"
#include "scheduler/explanation_text.h"
#include "service/explanation_messages.h"
#include "service/graph_outline.h"
#include "service/messages.h"
#include "service/queries.h"

namespace kartograph::service {
namespace {

using planner::TaskKey;
using scheduler::Snapshots;

constexpr char kPoolPages = 'p';
// Tasks of a graph that are copied while the scheduler does nothing else.
constexpr size_t kSliceTasks = 1 << 15;
// Groups of ready tasks of which it is said what they wait for.
constexpr size_t kMostGroups = 50;
constexpr size_t kMostBlockers = 10;
constexpr size_t kHoldersShown = 20;
constexpr size_t kWaitingShown = 5;
// Tasks that are read to find what a skipped one came after.
constexpr size_t kMostSearched = 10000;
constexpr int kTries = 5;

Instant Now() { return {Clock::System().SteadyNow(), absl::Now()}; }

absl::Status NotLive(planner::GraphId graph) {
  return absl::FailedPreconditionError(
      absl::StrCat("graph \"", planner::GraphIdToString(graph),
                   "\" has ended: nothing of it waits any more; its tasks say how they ended"));
}

// What groups are counted together: their kind, and the pool, resource or agent in question.
std::pair<v1::Reason::Kind, std::string> SubjectOf(const v1::Reason& reason) {
  std::string subject;
  if (reason.shortages_size() > 0) {
    subject = reason.shortages(0).resource();
  } else if (reason.kind() == v1::Reason::NO_AGENT) {
    subject = absl::StrCat(" ", reason.agent());
  }
  return {reason.kind(), std::move(subject)};
}

// "340 tasks".
std::string Tasks(int64_t count) { return absl::StrCat(count, count == 1 ? " task" : " tasks"); }

}  // namespace

// Of a task that was skipped: the nearest one before it that was not.
absl::StatusOr<std::optional<storage::TaskRow>> Queries::SkippedBecauseOf(
    const storage::TaskRow& skipped) {
  const planner::GraphId graph = skipped.task.task.graph();
  absl::flat_hash_set<planner::TaskIndex> seen;
  std::vector<TaskKey> level;
  const auto add = [&](const storage::TaskRow& row, std::vector<TaskKey>& next) {
    for (planner::TaskIndex before : row.task.after) {
      if (seen.size() < kMostSearched && seen.insert(before).second) {
        next.push_back(TaskKey::Of(graph, before));
      }
    }
  };
  add(skipped, level);
  while (!level.empty()) {
    std::sort(level.begin(), level.end());
    absl::StatusOr<std::vector<storage::TaskRow>> rows =
        history_->GetTasks(level, {.max_payload_bytes = 0});
    if (!rows.ok()) return rows.status();
    std::vector<TaskKey> next;
    for (storage::TaskRow& row : *rows) {
      if (!row.ended || row.ended->state == planner::TaskState::kSucceeded) continue;
      if (row.ended->state != planner::TaskState::kSkipped) return std::optional(std::move(row));
      add(row, next);
    }
    level = std::move(next);
  }
  return std::nullopt;
}

absl::StatusOr<v1::ExplainTaskResponse> Queries::ExplainEnded(const storage::TaskRow& row) {
  v1::ExplainTaskResponse response;
  response.set_graph_id(planner::GraphIdToString(row.task.task.graph()));
  response.set_task_name(row.task.name);
  response.set_state(ToMessage(row.ended->state));
  *response.mutable_end_time() = ToMessage(row.ended->end_time);
  v1::Reason& reason = *response.add_reasons();
  reason.set_kind(v1::Reason::ENDED);
  reason.set_text(ValidUtf8(row.ended->reason));
  const std::string word(planner::ToString(row.ended->state));
  const bool passive = row.ended->state == planner::TaskState::kCancelled ||
                       row.ended->state == planner::TaskState::kSkipped;
  const absl::Duration ago = std::max(absl::Now() - row.ended->end_time, absl::ZeroDuration());
  response.add_summary(absl::StrCat(passive ? "was " : "has ", word, " ", FormatElapsed(ago),
                                    " ago", reason.text().empty() ? "" : ": ", reason.text()));
  if (!row.attempts.empty()) {
    const storage::AttemptRow& last = row.attempts.back();
    reason.set_agent(ValidUtf8(last.launched.agent_name));
    reason.set_attempt(static_cast<int32_t>(row.attempts.size()) -
                       static_cast<int32_t>(row.attempts_before));
    if (last.ended.outcome != planner::Outcome::kNone) {
      response.add_summary(absl::StrCat("its last attempt (of ", row.attempts.size(),
                                        ") ran on agent ", ValidUtf8(last.launched.agent_name),
                                        " and ended as ", planner::ToString(last.ended.outcome),
                                        last.ended.message.empty() ? "" : ": ",
                                        ValidUtf8(last.ended.message)));
    }
  }
  if (row.ended->state != planner::TaskState::kSkipped) return response;
  const absl::StatusOr<std::optional<storage::TaskRow>> because = SkippedBecauseOf(row);
  if (!because.ok()) return because.status();
  if (!*because) return response;
  v1::ExplainedTask& task = *response.mutable_because();
  task.set_graph_id(response.graph_id());
  task.set_task_name((*because)->task.name);
  task.set_state(ToMessage((*because)->ended->state));
  if (!(*because)->ended->reason.empty()) {
    response.add_summary(absl::StrCat("\"", task.task_name(), "\" ",
                                      planner::ToString((*because)->ended->state), ": ",
                                      ValidUtf8((*because)->ended->reason)));
  }
  return response;
}

absl::StatusOr<v1::ExplainTaskResponse> Queries::ExplainTask(
    const v1::ExplainTaskRequest& request) {
  ProblemList problems;
  const planner::GraphId graph = ConvertGraphId(request.graph_id(), problems);
  if (!problems.empty()) return problems.ToStatus();
  for (int i = 0; i < kTries; ++i) {
    const absl::StatusOr<storage::TaskRow> row = history_->GetTask(graph, request.task_name());
    if (absl::IsNotFound(row.status())) return NotFoundTask(graph, request.task_name());
    if (!row.ok()) return row.status();
    if (row->ended) return ExplainEnded(*row);
    const TaskKey key = row->task.task;
    const Instant now = Now();
    const auto live = Inspect<std::optional<scheduler::Explanation>>(
        [key, now](const Snapshots& s) { return s.Explain(key, now); });
    if (!live.ok()) return live.status();
    // Otherwise it became final since the row was read.
    if (*live && !planner::IsFinal((*live)->state)) return ToMessage(**live, now.wall);
  }
  return absl::UnavailableError("the task changes too fast to be read; try again");
}

absl::StatusOr<scheduler::GraphSlice> Queries::OutlineOf(planner::GraphId graph) {
  auto outline = std::make_shared<scheduler::GraphSlice>();
  for (bool more = true; more;) {
    const absl::StatusOr<bool> appended = Inspect<bool>([graph, outline](const Snapshots& s) {
      return s.AppendSlice(graph, kSliceTasks, outline.get());
    });
    if (!appended.ok()) return appended.status();
    more = *appended;
  }
  return std::move(*outline);
}

absl::StatusOr<std::optional<v1::ExplainTaskResponse>> Queries::ExplainLive(TaskKey task) {
  const Instant now = Now();
  const auto live = Inspect<std::optional<scheduler::Explanation>>(
      [task, now](const Snapshots& s) { return s.Explain(task, now); });
  if (!live.ok()) return live.status();
  if (!*live || planner::IsFinal((*live)->state)) return std::nullopt;
  return std::optional(ToMessage(**live, now.wall));
}

absl::StatusOr<v1::ExplainGraphResponse> Queries::ExplainGraph(
    const v1::ExplainGraphRequest& request) {
  ProblemList problems;
  const planner::GraphId id = ConvertGraphId(request.graph_id(), problems);
  if (!problems.empty()) return problems.ToStatus();
  v1::GetGraphRequest get;
  get.set_graph_id(request.graph_id());
  absl::StatusOr<v1::Graph> graph = GetGraph(get);
  if (!graph.ok()) return graph.status();
  if (graph->state() != v1::GRAPH_STATE_RUNNING) return NotLive(id);
  const absl::StatusOr<scheduler::GraphSlice> outline = OutlineOf(id);
  if (!outline.ok()) return outline.status();

  v1::ExplainGraphResponse response;
  response.set_graph_id(request.graph_id());
  *response.mutable_graph() = *std::move(graph);
  std::map<std::pair<v1::Reason::Kind, std::string>, int> by_subject;
  const std::vector<TaskGroup> groups = GroupTasks(*outline);
  for (size_t i = 0; i < groups.size() && i < kMostGroups; ++i) {
    const auto example = ExplainLive(TaskKey::Of(id, groups[i].example));
    if (!example.ok()) return example.status();
    if (!*example || (*example)->reasons_size() == 0) continue;  // it has changed since
    const v1::Reason& reason = (*example)->reasons(0);
    const auto [known, is_new] = by_subject.emplace(SubjectOf(reason), response.groups_size());
    if (!is_new) {
      v1::ExplainGraphResponse::Group& group = *response.mutable_groups(known->second);
      group.set_tasks(group.tasks() + groups[i].tasks);
      continue;
    }
    v1::ExplainGraphResponse::Group& group = *response.add_groups();
    group.set_kind(reason.kind());
    group.set_tasks(groups[i].tasks);
    group.set_example((*example)->task_name());
    group.set_text(reason.kind() == v1::Reason::RUNNING ? (*example)->summary(0) : reason.text());
  }
  std::stable_sort(response.mutable_groups()->begin(), response.mutable_groups()->end(),
                   [](const auto& a, const auto& b) { return a.tasks() > b.tasks(); });
  for (const v1::ExplainGraphResponse::Group& group : response.groups()) {
    response.add_summary(absl::StrCat(Tasks(group.tasks()),
                                      group.tasks() == 1 ? ", \"" : ", such as \"", group.example(),
                                      "\": ", group.text()));
  }
  for (const BlockingTask& blocking : FindBlockers(*outline, kMostBlockers)) {
    const auto explained = ExplainLive(TaskKey::Of(id, blocking.task));
    if (!explained.ok()) return explained.status();
    if (!*explained) continue;
    v1::ExplainGraphResponse::Blocker& blocker = *response.add_blockers();
    blocker.set_holds_up(blocking.holds_up);
    blocker.mutable_task()->set_graph_id(request.graph_id());
    blocker.mutable_task()->set_task_name((*explained)->task_name());
    blocker.mutable_task()->set_state((*explained)->state());
    if ((*explained)->reasons_size() > 0) {
      const v1::Reason& reason = (*explained)->reasons(0);
      if (reason.kind() == v1::Reason::RUNNING) {
        blocker.mutable_task()->set_agent(reason.agent());
        *blocker.mutable_task()->mutable_since() = reason.since();
        if (reason.has_remaining()) {
          *blocker.mutable_task()->mutable_remaining() = reason.remaining();
        }
      }
      blocker.set_text((*explained)->summary(0));
    }
    response.add_summary(absl::StrCat("\"", blocker.task().task_name(), "\" holds up ",
                                      Tasks(blocking.holds_up), "; it ", blocker.text()));
  }
  return response;
}

absl::StatusOr<v1::ListPoolsResponse> Queries::ListPools(const v1::ListPoolsRequest& request) {
  ProblemList problems;
  const int page_size = ConvertPageSize(request.page_size(), problems);
  const absl::string_view after = ConvertNameToken(request.page_token(), kPoolPages, problems);
  if (!problems.empty()) return problems.ToStatus();
  const Instant now = Now();
  const auto pools = Inspect<std::vector<scheduler::PoolExplanation>>(
      [now](const Snapshots& s) { return s.Pools(kHoldersShown, kWaitingShown, now); });
  if (!pools.ok()) return pools.status();
  v1::ListPoolsResponse response;
  for (const scheduler::PoolExplanation& pool : *pools) {
    if (pool.pool.name <= after) continue;
    if (response.pools_size() == page_size) {
      response.set_next_page_token(
          MakeNameToken(kPoolPages, response.pools(page_size - 1).pool().name()));
      break;
    }
    v1::PoolDetail& detail = *response.add_pools();
    *detail.mutable_pool() = ToMessage(pool.pool);
    for (const scheduler::Holder& holder : pool.holders.first) {
      *detail.add_holders() = ToMessage(holder);
    }
    detail.set_holder_count(pool.holders.count);
    for (const scheduler::NamedTask& task : pool.waiting) *detail.add_waiting() = ToMessage(task);
    if (!pool.set) continue;
    detail.set_setting(pool.set->setting.units());
    *detail.mutable_set_time() = ToMessage(pool.set->time);
    detail.set_set_by(ValidUtf8(pool.set->by));
  }
  return response;
}

}  // namespace kartograph::service
