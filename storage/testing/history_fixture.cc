#include "storage/testing/history_fixture.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "storage/encoding.h"

namespace kartograph::storage {

using planner::AttemptId;
using planner::Quantity;
using planner::Resource;
using planner::TaskKey;

TestFolder::TestFolder() {
  path_ = absl::StrCat(testing::TempDir(), "/history.XXXXXX");
  if (mkdtemp(path_.data()) == nullptr) std::abort();
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

History OpenIn(const TestFolder& folder) {
  absl::StatusOr<History> history = OpenHistory({.path = folder.database()});
  if (!history.ok()) {
    ADD_FAILURE() << history.status();
    std::abort();
  }
  return *std::move(history);
}

absl::Time At(double seconds) { return absl::FromUnixSeconds(1700000000) + absl::Seconds(seconds); }

GraphSubmitted SomeGraph(planner::GraphId graph, std::string name) {
  GraphSubmitted record;
  record.graph = graph;
  record.name = std::move(name);
  record.client_queue = "client";
  record.fail_fast = true;
  record.open = true;
  record.submit_time = At(graph);
  return record;
}

GraphChanged EndOf(planner::GraphId graph, planner::GraphState state, absl::Time time) {
  return {.graph = graph, .state = state, .open = false, .end_time = time};
}

TaskSubmitted SomeTask(planner::GraphId graph, planner::TaskIndex index, std::string name) {
  TaskSubmitted record;
  record.task = TaskKey::Of(graph, index);
  record.name = std::move(name);
  record.payload = absl::StrCat("payload of ", record.name);
  record.consumption = {{Resource::Cpu(), Quantity::FromMilli(1500)},
                        {Resource::Ram(), Quantity::Of(536870912)},
                        {Resource::Named("db_connections"), Quantity::Of(1)}};
  if (index > 0) record.after = {0, index - 1};
  record.policy.timeout = absl::Seconds(3600);
  record.policy.retry_delay = absl::Milliseconds(1500);
  record.policy.max_retry_delay = absl::Minutes(7);
  record.policy.cancel_grace = absl::Seconds(11);
  record.policy.max_attempts = 4;
  record.priority = -5;
  record.policy.unreachable_timeout = absl::Minutes(15);
  record.policy.max_losses = 3;
  (void)record.policy.retry.on.Add("64-78");
  (void)record.policy.retry.not_on.Add("SIGKILL");
  record.policy.avoid_last_failure = true;
  record.policy.preemptible = true;
  record.policy.spread = {"workers", 2};
  record.policy.constraints =
      planner::Constraints({{"rack", planner::Constraint::Operator::kOneOf, true, {"b3", "b4"}}});
  return record;
}

AttemptLaunched LaunchOf(planner::GraphId graph, planner::TaskIndex index, uint32_t number) {
  AttemptLaunched record;
  record.attempt = AttemptId::Of(TaskKey::Of(graph, index), number);
  record.agent = absl::StrCat("agent-", number);
  record.agent_name = absl::StrCat("host-", number);
  record.launch_time = At(10 + number);
  return record;
}

AttemptEnded AttemptEndOf(planner::GraphId graph, planner::TaskIndex index, uint32_t number,
                          planner::Outcome outcome, std::string return_value) {
  AttemptEnded record;
  record.attempt = AttemptId::Of(TaskKey::Of(graph, index), number);
  record.outcome = outcome;
  record.exit_status = outcome == planner::Outcome::kSucceeded ? 0 : 3;
  record.signal = 15;
  record.message = "it ended";
  record.start_time = At(20 + number);
  record.end_time = At(30 + number);
  record.peak_ram_bytes = 0x8000000000000001;
  record.cpu_time = absl::Microseconds(1234567);
  record.wall_time = absl::Microseconds(7654321);
  record.return_value = std::move(return_value);
  return record;
}

TaskEnded TaskEndOf(planner::GraphId graph, planner::TaskIndex index, planner::TaskState state,
                    double seconds) {
  TaskEnded record;
  record.task = TaskKey::Of(graph, index);
  record.state = state;
  record.end_time = At(seconds);
  if (state != planner::TaskState::kSucceeded) record.reason = "because";
  return record;
}

TaskReset ResetOf(planner::GraphId graph, planner::TaskIndex index, uint32_t attempts_before) {
  return {.task = TaskKey::Of(graph, index), .attempts_before = attempts_before};
}

FinishedQueued DeliveryOf(int64_t delivery, planner::GraphId graph, planner::TaskIndex index,
                          std::string queue) {
  return {
      .client_queue = std::move(queue), .delivery_id = delivery, .task = TaskKey::Of(graph, index)};
}

FinishedAcknowledged AcknowledgementOf(int64_t delivery, std::string queue) {
  return {.client_queue = std::move(queue), .delivery_id = delivery};
}

std::string Describe(const GraphSubmitted& graph) {
  return absl::StrCat("graph ", graph.graph, " name=", absl::CEscape(graph.name),
                      " queue=", absl::CEscape(graph.client_queue), " fail_fast=", graph.fail_fast,
                      " user=", absl::CEscape(graph.user), " share=", absl::CEscape(graph.share),
                      " submit=", EncodeTime(graph.submit_time));
}

std::string Describe(const GraphChanged& graph) {
  return absl::StrCat("graph ", graph.graph, " state=", planner::ToString(graph.state),
                      " open=", graph.open, " end=", EncodeTime(graph.end_time),
                      " work=", static_cast<int>(graph.work));
}

std::string Describe(const TaskSubmitted& task) {
  return absl::StrCat("task ", task.task.value, " name=", absl::CEscape(task.name),
                      " payload=", absl::CEscape(task.payload),
                      " consumption=", EncodeConsumption(task.consumption),
                      " after=", absl::StrJoin(task.after, ","),
                      " timeout=", EncodeDuration(task.policy.timeout),
                      " retry_delay=", EncodeDuration(task.policy.retry_delay),
                      " max_retry_delay=", EncodeDuration(task.policy.max_retry_delay)) +
         absl::StrCat(" cancel_grace=", EncodeDuration(task.policy.cancel_grace),
                      " max_attempts=", task.policy.max_attempts, " priority=", task.priority,
                      " unreachable_timeout=", EncodeDuration(task.policy.unreachable_timeout),
                      " max_losses=", task.policy.max_losses,
                      " retry=", EncodeRetryRule(task.policy.retry),
                      " constraints=", EncodeConstraints(task.policy.constraints),
                      " spread=", EncodeSpread(task.policy.spread),
                      task.policy.avoid_last_failure ? " avoids" : "",
                      task.policy.preemptible ? " preemptible" : "");
}

std::string Describe(const AttemptLaunched& launched) {
  return absl::StrCat("launch ", launched.attempt.value, " agent=", absl::CEscape(launched.agent),
                      " name=", absl::CEscape(launched.agent_name),
                      " launch=", EncodeTime(launched.launch_time));
}

std::string Describe(const AttemptEnded& ended) {
  return absl::StrCat("end of ", ended.attempt.value, " outcome=", planner::ToString(ended.outcome),
                      " exit=", ended.exit_status, " signal=", ended.signal,
                      " message=", absl::CEscape(ended.message),
                      " start=", EncodeTime(ended.start_time),
                      " end=", EncodeTime(ended.end_time)) +
         absl::StrCat(" ram=", ended.peak_ram_bytes, " cpu=", EncodeDuration(ended.cpu_time),
                      " wall=", EncodeDuration(ended.wall_time),
                      " value=", absl::CEscape(ended.return_value));
}

std::string Describe(const TaskEnded& ended) {
  return absl::StrCat("task ", ended.task.value, " ended state=", planner::ToString(ended.state),
                      " end=", EncodeTime(ended.end_time), " reason=", absl::CEscape(ended.reason));
}

void DescribingVisitor::OnGraph(const GraphSubmitted& graph, const GraphChanged& state) {
  lines.push_back(Describe(graph));
  lines.push_back(Describe(state));
}

void DescribingVisitor::OnTask(const TaskSubmitted& task, uint32_t attempts_before) {
  lines.push_back(absl::StrCat(Describe(task), " attempts_before=", attempts_before));
}

void DescribingVisitor::OnAttempt(const AttemptLaunched& launched, const AttemptEnded* ended) {
  lines.push_back(Describe(launched));
  if (ended != nullptr) lines.push_back(Describe(*ended));
}

void DescribingVisitor::OnTaskEnded(const TaskEnded& ended) { lines.push_back(Describe(ended)); }

std::vector<std::string> DescribeAll(History& history, planner::GraphId graphs,
                                     absl::string_view queue) {
  DescribingVisitor visitor;
  for (planner::GraphId graph = 1; graph <= graphs; ++graph) {
    const absl::Status status = history.reader->VisitGraph(graph, visitor);
    if (absl::IsNotFound(status)) continue;
    EXPECT_TRUE(status.ok()) << status;
    absl::StatusOr<GraphRow> row = history.reader->GetGraph(graph);
    EXPECT_TRUE(row.ok()) << row.status();
    if (row.ok()) {
      visitor.lines.push_back(
          absl::StrCat("tasks=", row->tasks, " by state ", absl::StrJoin(row->counts, ",")));
    }
    absl::StatusOr<std::vector<TaskRow>> tasks =
        history.reader->ListTasks(graph, 0, 1000, {}, {.payload = true, .attempts = false});
    EXPECT_TRUE(tasks.ok()) << tasks.status();
    for (const TaskRow& task : *tasks) visitor.lines.push_back(Describe(task.task));
  }
  absl::StatusOr<std::vector<Finished>> finished =
      history.reader->FinishedOf(queue, 1000, int64_t{1} << 30);
  EXPECT_TRUE(finished.ok()) << finished.status();
  for (const Finished& delivery : *finished) {
    visitor.lines.push_back(absl::StrCat("delivery ", delivery.delivery_id, " ",
                                         Describe(delivery.ended), " ",
                                         Describe(delivery.last_attempt)));
  }
  visitor.lines.push_back(absl::StrCat("last graph ", history.writer->LastGraphId().value_or(-1),
                                       " last delivery ",
                                       history.writer->LastDeliveryId().value_or(-1)));
  return visitor.lines;
}

}  // namespace kartograph::storage
