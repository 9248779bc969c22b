// Lists of tasks.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/algorithm/container.h"
#include "service/convert_details.h"
#include "service/messages.h"
#include "service/queries.h"
#include "service/task_size.h"

namespace kartograph::service {
namespace {

using planner::TaskKey;
using scheduler::Snapshots;

constexpr char kTaskPages = 't';
// Of a page of tasks, beside the tasks and for each of them.
constexpr size_t kPageOverhead = 1 << 10;
constexpr size_t kPerTaskOverhead = 8;
// How many tasks a call looks at for the labels that it is asked for.
constexpr int64_t kMaxLookedAt = 100'000;

}  // namespace

absl::Status Queries::FillTasks(const std::vector<storage::TaskRow>& rows, bool full,
                                v1::ListTasksResponse& response) {
  std::map<TaskKey, std::string> names;
  if (full) {
    for (const storage::TaskRow& row : rows) {
      for (planner::TaskIndex index : row.task.after) {
        names.emplace(TaskKey::Of(row.task.task.graph(), index), "");
      }
    }
    std::vector<TaskKey> keys;
    for (const auto& [key, name] : names) keys.push_back(key);
    absl::StatusOr<std::vector<std::string>> texts = TaskNames(keys);
    if (!texts.ok()) return texts.status();
    for (size_t i = 0; i < keys.size(); ++i) names[keys[i]] = std::move((*texts)[i]);
  }
  for (const storage::TaskRow& row : rows) {
    std::vector<std::string> after;
    if (full) {
      for (planner::TaskIndex index : row.task.after) {
        after.push_back(names[TaskKey::Of(row.task.task.graph(), index)]);
      }
    }
    *response.add_tasks() = ToMessage(row, full, after);
  }
  return absl::OkStatus();
}

absl::Status Queries::ReadTasks(TaskList& list) {
  using Page = std::optional<std::vector<LiveTask>>;  // nothing for a graph that is not live
  absl::StatusOr<Page> live = Inspect<Page>([&list](const Snapshots& s) -> Page {
    if (!s.Graph(list.graph)) return std::nullopt;
    std::vector<LiveTask> page;
    for (scheduler::TaskSnapshot& task :
         s.Tasks(list.graph, list.from, list.page_size + 1, list.states)) {
      LiveTask& entry = page.emplace_back();
      if (list.full && (task.state == planner::TaskState::kLaunching ||
                        task.state == planner::TaskState::kRunning)) {
        entry.attempts = s.Attempts(task.task);
      }
      entry.task = std::move(task);
    }
    return page;
  });
  if (!live.ok()) return live.status();

  const storage::HistoryReader::Detail detail{
      .payload = list.full, .attempts = list.full, .max_payload_bytes = int64_t{kMaxAnswerBytes}};
  absl::StatusOr<std::vector<storage::TaskRow>> rows;
  if (*live) {
    std::vector<TaskKey> keys;
    for (LiveTask& task : **live) {
      keys.push_back(task.task.task);
      list.live[task.task.task] = std::move(task);
    }
    rows = history_->GetTasks(keys, detail);
  } else {
    const absl::StatusOr<storage::GraphRow> row = GraphRow(list.graph);
    if (!row.ok()) return row.status();
    std::vector<planner::TaskState> final_states;
    for (planner::TaskState state : list.states) {
      if (planner::IsFinal(state)) final_states.push_back(state);
    }
    if (!list.states.empty() && final_states.empty()) return absl::OkStatus();
    rows = history_->ListTasks(list.graph, list.from, list.page_size + 1, final_states, detail);
  }
  if (!rows.ok()) return rows.status();
  list.rows = *std::move(rows);
  return absl::OkStatus();
}

// The history knows the labels, the scheduler what is live: a page may be short, or empty, though
// there are more.
absl::Status Queries::ReadTasksByLabel(TaskList& list) {
  const absl::StatusOr<storage::GraphRow> graph = GraphRow(list.graph);
  if (!graph.ok()) return graph.status();
  const storage::HistoryReader::Detail detail{
      .payload = list.full,
      .attempts = list.full,
      .max_payload_bytes = int64_t{kMaxAnswerBytes},
      .where = [&list](absl::string_view details) { return HasLabels(details, list.labels); },
      .max_rows = kMaxLookedAt};
  absl::StatusOr<std::vector<storage::TaskRow>> rows =
      history_->ListTasks(list.graph, list.from, list.page_size + 1, {}, detail);
  if (!rows.ok()) return rows.status();
  list.rows = *std::move(rows);
  if (static_cast<int>(list.rows.size()) <= list.page_size &&
      list.from + kMaxLookedAt < graph->tasks) {
    list.next = static_cast<planner::TaskIndex>(list.from + kMaxLookedAt);
  }
  std::vector<TaskKey> keys;
  for (const storage::TaskRow& row : list.rows) keys.push_back(row.task.task);
  using Live = absl::flat_hash_map<TaskKey, LiveTask>;
  absl::StatusOr<Live> live = Inspect<Live>([keys](const Snapshots& s) {
    Live found;
    for (const TaskKey key : keys) {
      if (std::optional<scheduler::TaskSnapshot> task = s.Task(key)) {
        found[key] = {*std::move(task), s.Attempts(key)};
      }
    }
    return found;
  });
  if (!live.ok()) return live.status();
  list.live = *std::move(live);
  if (list.states.empty()) return absl::OkStatus();
  // The one behind the page stays: it says that there is another page.
  for (size_t i = 0, shown = std::min<size_t>(list.rows.size(), list.page_size); i < shown;) {
    const storage::TaskRow& row = list.rows[i];
    const auto found = list.live.find(row.task.task);
    const std::optional<planner::TaskState> state = found != list.live.end()
                                                        ? std::optional(found->second.task.state)
                                                    : row.ended ? std::optional(row.ended->state)
                                                                : std::nullopt;
    if (state && absl::c_linear_search(list.states, *state)) {
      ++i;
      continue;
    }
    list.rows.erase(list.rows.begin() + static_cast<ptrdiff_t>(i));
    --shown;
    --list.page_size;
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::ListTasksResponse> Queries::ListTasks(const v1::ListTasksRequest& request) {
  ProblemList problems;
  TaskList list{ConvertGraphId(request.graph_id(), problems),
                ConvertPageSize(request.page_size(), problems),
                ConvertPageToken(request.page_token(), kTaskPages, problems),
                ConvertTaskStates(request.states(), problems),
                ConvertLabels(request.labels()),
                request.full()};
  CheckLabels(request.labels(), "labels", problems);
  if (!problems.empty()) return problems.ToStatus();
  absl::Status read = list.labels.empty() ? ReadTasks(list) : ReadTasksByLabel(list);
  if (!read.ok()) return read;

  const auto cut = [&list](size_t count) {
    if (list.rows.size() <= count) return;
    list.next = list.rows[count].task.task.index();
    list.rows.resize(count);
  };
  cut(list.page_size);
  if (list.full) {
    size_t bytes = 0;
    for (size_t i = 0; i < list.rows.size(); ++i) {
      const storage::TaskRow& row = list.rows[i];
      bytes += 256 + 2 * row.task.name.size() + row.task.payload.size() + row.task.details.size() +
               row.attempts.size() * 256 + row.task.after.size() * 64;
      if (bytes > kMaxAnswerBytes && i > 0) cut(i);
    }
  }
  v1::ListTasksResponse response;
  if (absl::Status status = FillTasks(list.rows, list.full, response); !status.ok()) return status;
  for (int i = 0; i < response.tasks_size(); ++i) {
    const auto found = list.live.find(list.rows[i].task.task);
    if (found == list.live.end()) continue;
    Overlay(found->second.task, found->second.attempts, *response.mutable_tasks(i));
  }
  size_t bytes = 0;
  for (int i = 0; i < response.tasks_size(); ++i) {
    FitTask(kMaxAnswerBytes - kPageOverhead, *response.mutable_tasks(i));
    bytes += response.tasks(i).ByteSizeLong() + kPerTaskOverhead;
    if (bytes <= kMaxAnswerBytes - kPageOverhead || i == 0) continue;
    list.next = list.rows[static_cast<size_t>(i)].task.task.index();
    response.mutable_tasks()->DeleteSubrange(i, response.tasks_size() - i);
  }
  if (list.next) response.set_next_page_token(MakePageToken(kTaskPages, *list.next));
  return response;
}

absl::StatusOr<std::vector<Queries::TaskStatus>> Queries::TaskStatuses(planner::GraphId graph,
                                                                       planner::TaskIndex from,
                                                                       int limit) {
  using Live = std::optional<std::vector<scheduler::TaskSnapshot>>;
  const absl::StatusOr<Live> live = Inspect<Live>([=](const Snapshots& s) -> Live {
    if (!s.Graph(graph)) return std::nullopt;
    return s.Tasks(graph, from, limit, {});
  });
  if (!live.ok()) return live.status();
  // The final ones of a live graph have their reasons in the history.
  const absl::StatusOr<std::vector<storage::TaskRow>> rows =
      history_->ListTasks(graph, from, limit, {}, {.attempts = !*live});
  if (!rows.ok()) return rows.status();
  std::vector<TaskStatus> statuses;
  for (size_t i = 0; i < rows->size(); ++i) {
    const storage::TaskRow& row = (*rows)[i];
    TaskStatus& status = statuses.emplace_back();
    status.name = row.task.name;
    if (row.ended) {
      status.state = row.ended->state;
      status.reason = row.ended->reason;
    }
    status.attempts = static_cast<int>(row.attempts.size()) - static_cast<int>(row.attempts_before);
    if (!*live || i >= (*live)->size()) continue;
    const scheduler::TaskSnapshot& snapshot = (**live)[i];
    status.state = snapshot.state;
    status.attempts = static_cast<int>(snapshot.attempts);
    if (!planner::IsFinal(snapshot.state)) status.reason = snapshot.reason;
  }
  return statuses;
}

}  // namespace kartograph::service
