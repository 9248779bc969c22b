#include "service/queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "service/inspect.h"
#include "service/testing/service_harness.h"

namespace kartograph::service {
namespace {

using planner::GraphIdToString;
using planner::Outcome;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class QueriesTest : public testing::Test {
 protected:
  v1::ListTasksResponse Tasks(planner::GraphId graph, int page_size = 0,
                              const std::string& token = "", std::vector<v1::TaskState> states = {},
                              bool full = false) {
    v1::ListTasksRequest request;
    request.set_graph_id(GraphIdToString(graph));
    request.set_page_size(page_size);
    request.set_page_token(token);
    for (v1::TaskState state : states) request.add_states(state);
    request.set_full(full);
    const auto answer = harness_.queries->ListTasks(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.value_or(v1::ListTasksResponse());
  }
  static std::vector<std::string> Names(const v1::ListTasksResponse& response) {
    std::vector<std::string> names;
    for (const v1::Task& task : response.tasks()) names.push_back(task.name());
    return names;
  }
  absl::StatusOr<v1::Task> Task(planner::GraphId graph, const std::string& name) {
    v1::GetTaskRequest request;
    request.set_graph_id(GraphIdToString(graph));
    request.set_task_name(name);
    return harness_.queries->GetTask(request);
  }
  absl::StatusOr<v1::Graph> Graph(const std::string& id) {
    v1::GetGraphRequest request;
    request.set_graph_id(id);
    return harness_.queries->GetGraph(request);
  }

  static scheduler::SchedulerOptions WithPool() {
    scheduler::SchedulerOptions options;
    options.pools = {{planner::Resource::Named("db"), planner::Quantity::Of(4)}};
    return options;
  }

  ServiceHarness harness_{WithPool()};
};

TEST_F(QueriesTest, TellsALiveGraphByItsLiveCounts) {
  const planner::GraphId graph = harness_.Submit("release", {"a", "b a", "c b"}, "queue");
  harness_.cluster.Run(harness_.cluster.WaitForLaunch("a").attempt);
  harness_.WaitForTask(graph, "a", v1::TASK_STATE_RUNNING);
  const auto answer = Graph(GraphIdToString(graph));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->graph_id(), "g1");
  EXPECT_EQ(answer->spec().name(), "release");
  EXPECT_EQ(answer->spec().client_queue(), "queue");
  EXPECT_EQ(answer->state(), v1::GRAPH_STATE_RUNNING);
  EXPECT_EQ(answer->counts().total(), 3);
  EXPECT_EQ(answer->counts().running(), 1);
  EXPECT_EQ(answer->counts().waiting(), 2);
  EXPECT_FALSE(answer->has_end_time());
}

TEST_F(QueriesTest, TellsAFinalGraphFromTheHistory) {
  harness_.cluster.EndEachWith(Outcome::kExited);
  const planner::GraphId graph = harness_.Submit("release", {"a", "b a", "c"});
  harness_.WaitForState(graph, planner::GraphState::kFailed);
  const auto answer = Graph("g1");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->counts().failed(), 2);
  EXPECT_EQ(answer->counts().skipped(), 1);
  EXPECT_TRUE(answer->has_end_time());
}

TEST_F(QueriesTest, SaysWhatIsNotThere) {
  const planner::GraphId graph = harness_.Submit("g", {"a"});
  EXPECT_EQ(Graph("g99").status(), absl::NotFoundError("no graph \"g99\""));
  EXPECT_EQ(Graph("seventeen").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Task(99, "a").status(), absl::NotFoundError("no graph \"g99\""));
  EXPECT_EQ(Task(graph, "b").status(), absl::NotFoundError("no task \"b\" in graph \"g1\""));
  v1::ListTasksRequest request;
  request.set_graph_id("g99");
  EXPECT_EQ(harness_.queries->ListTasks(request).status(), absl::NotFoundError("no graph \"g99\""));
}

TEST_F(QueriesTest, PagesGraphsNewestFirst) {
  for (int i = 0; i < 5; ++i) harness_.Submit(absl::StrCat("graph", i), {"a"});
  v1::ListGraphsRequest request;
  request.set_page_size(2);
  std::vector<std::string> seen;
  int pages = 0;
  do {
    const auto answer = harness_.queries->ListGraphs(request);
    ASSERT_TRUE(answer.ok()) << answer.status();
    for (const v1::Graph& graph : answer->graphs()) seen.push_back(graph.graph_id());
    request.set_page_token(answer->next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_THAT(seen, ElementsAre("g5", "g4", "g3", "g2", "g1"));
  EXPECT_EQ(pages, 3);
}

TEST_F(QueriesTest, ListsGraphsByState) {
  const planner::GraphId ended = harness_.Submit("ended", {"a"});
  harness_.cluster.End(harness_.cluster.WaitForLaunch("a").attempt, Outcome::kSucceeded);
  harness_.WaitForState(ended, planner::GraphState::kSucceeded);
  const planner::GraphId live = harness_.Submit("live", {"a"});
  harness_.cluster.Run(harness_.cluster.WaitForLaunch("a").attempt);
  harness_.WaitForTask(live, "a", v1::TASK_STATE_RUNNING);
  v1::ListGraphsRequest request;
  request.set_state(v1::GRAPH_STATE_RUNNING);
  auto answer = harness_.queries->ListGraphs(request);
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->graphs_size(), 1);
  EXPECT_EQ(answer->graphs(0).spec().name(), "live");
  EXPECT_EQ(answer->graphs(0).counts().running(), 1);
  request.set_state(v1::GRAPH_STATE_SUCCEEDED);
  answer = harness_.queries->ListGraphs(request);
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->graphs_size(), 1);
  EXPECT_EQ(answer->graphs(0).spec().name(), "ended");
}

TEST_F(QueriesTest, RefusesWrongPagesWithAllProblems) {
  v1::ListTasksRequest request;
  request.set_graph_id("x");
  request.set_page_size(-1);
  request.set_page_token("nonsense");
  request.add_states(static_cast<v1::TaskState>(77));
  const auto answer = harness_.queries->ListTasks(request);
  EXPECT_EQ(planner::ProblemsOf(answer.status()).size(), 4u) << answer.status();
}

TEST_F(QueriesTest, PagesTasksOfALiveGraphInOrderOfSubmission) {
  const planner::GraphId graph = harness_.Submit("g", {"e", "d", "c", "b", "a"});
  const auto first = Tasks(graph, 2);
  EXPECT_THAT(Names(first), ElementsAre("e", "d"));
  const auto second = Tasks(graph, 2, first.next_page_token());
  EXPECT_THAT(Names(second), ElementsAre("c", "b"));
  const auto third = Tasks(graph, 2, second.next_page_token());
  EXPECT_THAT(Names(third), ElementsAre("a"));
  EXPECT_THAT(third.next_page_token(), IsEmpty());
}

TEST_F(QueriesTest, PagesTasksOfAFinalGraph) {
  harness_.cluster.EndEachWith(Outcome::kSucceeded);
  const planner::GraphId graph = harness_.Submit("g", {"c", "b", "a"});
  harness_.WaitForState(graph, planner::GraphState::kSucceeded);
  const auto first = Tasks(graph, 2);
  EXPECT_THAT(Names(first), ElementsAre("c", "b"));
  EXPECT_THAT(Names(Tasks(graph, 2, first.next_page_token())), ElementsAre("a"));
}

TEST_F(QueriesTest, ListsTasksByStateLiveAndFinal) {
  const planner::GraphId graph = harness_.Submit("g", {"a", "b", "c a", "d b"});
  harness_.cluster.End(harness_.cluster.WaitForLaunch("a").attempt, Outcome::kExited);
  harness_.cluster.Run(harness_.cluster.WaitForLaunch("b").attempt);
  harness_.WaitForTask(graph, "b", v1::TASK_STATE_RUNNING);
  harness_.WaitForTask(graph, "a", v1::TASK_STATE_FAILED);
  EXPECT_THAT(Names(Tasks(graph, 0, "", {v1::TASK_STATE_RUNNING})), ElementsAre("b"));
  EXPECT_THAT(Names(Tasks(graph, 0, "", {v1::TASK_STATE_FAILED, v1::TASK_STATE_SKIPPED})),
              ElementsAre("a", "c"));
  harness_.cluster.End(planner::AttemptId::Of(planner::TaskKey::Of(graph, 1), 1),
                       Outcome::kSucceeded);
  harness_.cluster.End(harness_.cluster.WaitForLaunch("d").attempt, Outcome::kSucceeded);
  harness_.WaitForState(graph, planner::GraphState::kFailed);
  EXPECT_THAT(Names(Tasks(graph, 0, "", {v1::TASK_STATE_FAILED, v1::TASK_STATE_SKIPPED})),
              ElementsAre("a", "c"));
  EXPECT_THAT(Names(Tasks(graph, 0, "", {v1::TASK_STATE_RUNNING})), IsEmpty());
}

TEST_F(QueriesTest, TellsWhyATaskDoesNotRun) {
  const planner::GraphId graph = harness_.Submit("g", {"a", "b a"});
  const auto task = Task(graph, "b");
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(task->state(), v1::TASK_STATE_WAITING);
  EXPECT_THAT(task->reason(), HasSubstr("a"));
}

TEST_F(QueriesTest, TellsEverythingOfARunningTask) {
  const planner::GraphId graph = harness_.Submit("g", {"a", "b a"});
  const executor::Launch launch = harness_.cluster.WaitForLaunch("a");
  harness_.cluster.Run(launch.attempt);
  harness_.WaitForTask(graph, "a", v1::TASK_STATE_RUNNING);
  const auto task = Task(graph, "a");
  ASSERT_TRUE(task.ok()) << task.status();
  ASSERT_EQ(task->attempts_size(), 1);
  EXPECT_EQ(task->attempts(0).attempt_id(), "g1.0.1");
  EXPECT_EQ(task->attempts(0).number(), 1);
  EXPECT_EQ(task->attempts(0).agent(), "host-1");
  EXPECT_EQ(task->attempts(0).state(), v1::TASK_STATE_RUNNING);
  EXPECT_TRUE(task->attempts(0).has_start_time());
  EXPECT_EQ(task->spec().command().arguments(0), "true");
  EXPECT_EQ(Task(graph, "b")->spec().after(0), "a");
}

TEST_F(QueriesTest, TellsEverythingOfAnEndedTask) {
  const planner::GraphId graph = harness_.Submit("g", {"a"});
  harness_.cluster.End(harness_.cluster.WaitForLaunch("a").attempt, Outcome::kSucceeded, "result");
  harness_.WaitForState(graph, planner::GraphState::kSucceeded);
  const auto task = Task(graph, "a");
  ASSERT_TRUE(task.ok());
  EXPECT_EQ(task->state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(task->return_value(), "result");
  EXPECT_EQ(task->return_value_bytes(), 6);
  EXPECT_THAT(task->omitted(), IsEmpty());
  EXPECT_EQ(task->attempts(0).outcome(), v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(task->attempts(0).state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_TRUE(task->has_end_time());
}

TEST_F(QueriesTest, OmitsAValueThatTheClientMayNotTake) {
  const planner::GraphId graph = harness_.Submit("g", {"a"});
  const std::string value(5 << 20, 'v');
  harness_.cluster.End(harness_.cluster.WaitForLaunch("a").attempt, Outcome::kSucceeded, value);
  harness_.WaitForState(graph, planner::GraphState::kSucceeded);
  auto task = Task(graph, "a");
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_THAT(task->omitted(), ElementsAre("return_value"));
  EXPECT_EQ(task->return_value_bytes(), 5 << 20);
  EXPECT_THAT(task->return_value(), IsEmpty());
  EXPECT_EQ(task->attempts_size(), 1);
  v1::GetTaskRequest request;
  request.set_graph_id(GraphIdToString(graph));
  request.set_task_name("a");
  request.set_max_bytes(6 << 20);
  task = harness_.queries->GetTask(request);
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_TRUE(task->return_value() == value);
  for (int64_t bytes : {-1, 1, 1 << 30}) {
    request.set_max_bytes(bytes);
    EXPECT_EQ(planner::ProblemsOf(harness_.queries->GetTask(request).status()).size(), 1u);
  }
}

TEST_F(QueriesTest, FindsTheAttemptWhoseResultIsAskedFor) {
  const planner::GraphId graph = harness_.Submit("g", {"a", "b a"});
  const planner::AttemptId attempt = harness_.cluster.WaitForLaunch("a").attempt;
  v1::ReadResultRequest request;
  request.set_graph_id(GraphIdToString(graph));
  request.set_task_name("a");
  const auto early = harness_.queries->FindResult(request);
  EXPECT_TRUE(absl::IsFailedPrecondition(early.status())) << early.status();
  request.set_task_name("b");
  EXPECT_TRUE(absl::IsNotFound(harness_.queries->FindResult(request).status()));
  request.set_task_name("a");
  harness_.cluster.End(attempt, Outcome::kSucceeded, "result");
  harness_.WaitForTask(graph, "a", v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(harness_.queries->FindResult(request).value(), attempt);
  EXPECT_EQ(harness_.queries->ReadResult(attempt, 2, 3)->data, "sul");
  EXPECT_EQ(harness_.queries->ReadResult(attempt, 2, 3)->size, 6);
  request.set_attempt(2);
  EXPECT_TRUE(absl::IsNotFound(harness_.queries->FindResult(request).status()));
  request.set_attempt(-1);
  request.set_offset(-1);
  request.set_graph_id("x");
  EXPECT_EQ(planner::ProblemsOf(harness_.queries->FindResult(request).status()).size(), 3u);
}

TEST_F(QueriesTest, ListsTasksInFullOnRequest) {
  const planner::GraphId graph = harness_.Submit("g", {"a", "b a"});
  harness_.cluster.Run(harness_.cluster.WaitForLaunch("a").attempt);
  harness_.WaitForTask(graph, "a", v1::TASK_STATE_RUNNING);
  const auto full = Tasks(graph, 0, "", {}, true);
  ASSERT_EQ(full.tasks_size(), 2);
  EXPECT_EQ(full.tasks(0).attempts(0).state(), v1::TASK_STATE_RUNNING);
  EXPECT_THAT(full.tasks(1).spec().after(), ElementsAre("a"));
  EXPECT_FALSE(Tasks(graph).tasks(0).has_spec());
}

TEST_F(QueriesTest, ListsFailuresWithTheEndOfTheirLog) {
  const planner::GraphId graph = harness_.Submit("release", {"a", "b"});
  const executor::Launch a = harness_.cluster.WaitForLaunch("a");
  harness_.cluster.WriteLog(a.attempt, executor::LogStream::kStderr,
                            std::string(10000, 'x') + "the end\xFF");
  harness_.cluster.End(a.attempt, Outcome::kExited);
  harness_.WaitForTask(graph, "a", v1::TASK_STATE_FAILED);
  const executor::Launch b = harness_.cluster.WaitForLaunch("b");
  harness_.cluster.WriteLog(b.attempt, executor::LogStream::kStdout, "only stdout");
  harness_.cluster.End(b.attempt, Outcome::kExited);
  harness_.WaitForState(graph, planner::GraphState::kFailed);
  const auto answer = harness_.queries->ListFailures({});
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->failures_size(), 2);
  EXPECT_EQ(answer->failures(0).task_name(), "b");
  EXPECT_EQ(answer->failures(0).log_tail(), "only stdout");
  EXPECT_EQ(answer->failures(1).graph_name(), "release");
  EXPECT_THAT(answer->failures(1).log_tail(), HasSubstr("xxthe end\xEF\xBF\xBD"));
  EXPECT_LE(answer->failures(1).log_tail().size(), 4096u + 2);
  v1::ListFailuresRequest too_many;
  too_many.set_max_failures(101);
  EXPECT_FALSE(harness_.queries->ListFailures(too_many).ok());
}

TEST_F(QueriesTest, TellsTheCluster) {
  harness_.Submit("release", {"a"});
  harness_.cluster.WaitForLaunch("a");
  const auto answer = harness_.queries->GetCluster({});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->connected());
  ASSERT_EQ(answer->agents_size(), 1);
  EXPECT_EQ(answer->agent_count(), 1);
  EXPECT_EQ(answer->agents(0).name(), "host-1");
  EXPECT_EQ(answer->agents(0).capacity().at("cpu"), 100);
  EXPECT_EQ(answer->agents(0).used().at("cpu"), 1);
  ASSERT_EQ(answer->pools_size(), 1);
  EXPECT_EQ(answer->pools(0).name(), "db");
  EXPECT_EQ(answer->pools(0).capacity(), 4);
  ASSERT_EQ(answer->running_size(), 1);
  EXPECT_EQ(answer->running(0).graph_name(), "release");
  EXPECT_EQ(answer->running(0).task_name(), "a");
  EXPECT_EQ(answer->running(0).state(), v1::TASK_STATE_LAUNCHING);
  EXPECT_EQ(answer->version(), "1.2.3");
  EXPECT_EQ(answer->start_time().seconds(), 1000);
  EXPECT_EQ(answer->counts().launching(), 1);
}

TEST_F(QueriesTest, ReadsPartsOfALog) {
  const planner::GraphId graph = harness_.Submit("g", {"a"});
  const executor::Launch launch = harness_.cluster.WaitForLaunch("a");
  v1::ReadLogRequest request;
  request.set_graph_id(GraphIdToString(graph));
  request.set_task_name("a");
  // Launched, but nothing is written yet.
  EXPECT_EQ(harness_.queries->ReadLog(request, 100)->data, "");
  const std::string text = std::string(200000, 'x') + "end";
  harness_.cluster.WriteLog(launch.attempt, executor::LogStream::kStdout, text);
  EXPECT_EQ(harness_.queries->ReadLog(request, 1 << 20)->data, text);
  EXPECT_EQ(harness_.queries->ReadLog(request, 100)->data.size(), 100u);
  request.set_offset(-3);
  const auto tail = harness_.queries->ReadLog(request, 1 << 20);
  EXPECT_EQ(tail->data, "end");
  EXPECT_EQ(tail->offset, 200000);
  request.set_attempt(2);
  EXPECT_EQ(harness_.queries->ReadLog(request, 1).status(),
            absl::NotFoundError("attempt 2 of task \"a\" has not been launched yet"));
}

TEST_F(QueriesTest, AnswersUnavailableOnceTheSchedulerHasStopped) {
  harness_.Submit("g", {"a"});
  harness_.StopScheduler();
  EXPECT_EQ(Graph("g1").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(QueriesTest, DoesNotWaitForASchedulerThatIsStuckForEver) {
  // Shared: the scheduler's thread may read it after this test is over.
  const auto unblock = std::make_shared<absl::Notification>();
  harness_.scheduler->Inspect([unblock](const auto&) { unblock->WaitForNotification(); });
  const auto answer = InspectWithin<bool>(*harness_.scheduler, absl::Milliseconds(10),
                                          [](const auto&) { return true; });
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("does not answer"));
  unblock->Notify();
}

TEST(LogTailsTest, ManyFailuresOnASilentAgentTakeAsLongAsOne) {
  ServiceHarness below;
  below.cluster.EndEachWith(planner::Outcome::kExited);
  std::vector<std::string> tasks;
  for (int i = 0; i < 10; ++i) tasks.push_back(absl::StrCat("task", i));
  below.WaitForState(below.Submit("g", tasks), planner::GraphState::kFailed);
  class Dead : public executor::LogReader {
   public:
    void ReadLog(const executor::LogRequest&,
                 std::function<void(absl::StatusOr<executor::LogChunk>)>) override {
      ++reads;
    }
    std::atomic<int> reads{0};
  } dead;
  Queries queries(
      {.version = "", .start_time = absl::Now(), .tails_timeout = absl::Milliseconds(100)},
      below.scheduler.get(), below.history.reader, &dead);
  const auto failures = queries.ListFailures({});
  ASSERT_TRUE(failures.ok()) << failures.status();
  EXPECT_EQ(failures->failures_size(), 10);
  EXPECT_EQ(dead.reads, 10) << "none waited for another";
}

}  // namespace
}  // namespace kartograph::service
