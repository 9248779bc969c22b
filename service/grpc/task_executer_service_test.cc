// The calls that are answered once, and the graph that comes in parts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/grpc/testing/grpc_harness.h"

namespace kartograph::service {
namespace {

using planner::Outcome;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

v1::GraphSpec Graph(const std::string& name, const std::string& queue = "") {
  v1::GraphSpec graph;
  graph.set_name(name);
  graph.set_client_queue(queue);
  return graph;
}

class TaskExecuterServiceTest : public testing::Test {
 protected:
  using Context = grpc::ClientContext;

  std::string Submit(const v1::GraphSpec& graph, const std::vector<v1::TaskSpec>& tasks,
                     const std::string& request_id = "") {
    Context context;
    v1::SubmitGraphResponse response;
    const grpc::Status status = harness_.Submit(graph, tasks, response, context, request_id);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.tasks(), static_cast<int>(tasks.size()));
    return response.graph_id();
  }

  v1::PopFinishedResponse Pop(const std::string& queue, std::vector<int64_t> acknowledge = {},
                              int wait_s = 60, std::optional<int> lease_s = std::nullopt) {
    Context context;
    v1::PopFinishedRequest request;
    request.set_client_queue(queue);
    if (lease_s) request.mutable_lease()->set_seconds(*lease_s);
    for (int64_t id : acknowledge) request.add_acknowledge(id);
    request.mutable_wait()->set_seconds(wait_s);
    v1::PopFinishedResponse response;
    const grpc::Status status = harness_.stub->PopFinished(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  int GraphCount() {
    Context context;
    v1::ListGraphsResponse response;
    EXPECT_TRUE(harness_.stub->ListGraphs(&context, {}, &response).ok());
    return response.graphs_size();
  }

  static v1::TaskSpec Task(const std::string& name, const std::vector<std::string>& after = {}) {
    return GrpcHarness::Task(name, after);
  }

  GrpcHarness harness_{[](ServiceParts& parts) {
    parts.max_graph_tasks = 2000;
    parts.max_graph_bytes = 1 << 20;
  }};
};

TEST_F(TaskExecuterServiceTest, LargeValuesAreReadByACallOfTheirOwn) {
  const std::string graph = Submit(Graph("g", "queue"), {Task("a"), Task("b", {"a"})});
  std::string value(5 << 20, '\0');
  for (size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i % 251);
  harness_.below.cluster.End(harness_.below.cluster.WaitForLaunch("a").attempt, Outcome::kSucceeded,
                             value);
  harness_.below.cluster.End(harness_.below.cluster.WaitForLaunch("b").attempt, Outcome::kExited,
                             "small", "exit status 4");
  harness_.below.WaitForState(1, planner::GraphState::kFailed);
  v1::PopFinishedResponse popped = Pop("queue", {}, 60, 0);
  ASSERT_EQ(popped.tasks_size(), 2) << "a large one is in nobody's way";
  EXPECT_EQ(popped.tasks(0).return_value(), "");
  EXPECT_EQ(popped.tasks(0).value_bytes(), 5 << 20);
  EXPECT_EQ(popped.tasks(0).attempt(), 1);
  EXPECT_EQ(popped.tasks(1).exception().value(), "small");
  EXPECT_EQ(popped.tasks(1).value_bytes(), 5);

  v1::ReadResultRequest request;
  request.set_graph_id(graph);
  request.set_task_name("a");
  request.set_attempt(1);
  const auto read = [&] {
    Context context;
    auto stream = harness_.stub->ReadResult(&context, request);
    std::string data;
    v1::ReadResultResponse part;
    while (stream->Read(&part)) {
      EXPECT_EQ(part.size(), 5 << 20);
      data += part.data();
    }
    const grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return data;
  };
  EXPECT_TRUE(read() == value);
  request.set_offset((5 << 20) - 3);
  EXPECT_TRUE(read() == value.substr((5 << 20) - 3));
  request.set_offset(6 << 20);
  EXPECT_EQ(read(), "");

  Context context;
  v1::PopFinishedRequest none;
  none.set_client_queue("queue");
  none.set_max_value_bytes(-1);
  ASSERT_TRUE(harness_.stub->PopFinished(&context, none, &popped).ok());
  ASSERT_EQ(popped.tasks_size(), 2);
  EXPECT_EQ(popped.tasks(1).exception().value(), "");
  EXPECT_EQ(popped.tasks(1).value_bytes(), 5);
}

TEST_F(TaskExecuterServiceTest, DeliversWhatFinishesUntilItIsAcknowledged) {
  const std::string graph = Submit(Graph("g", "queue"), {Task("a"), Task("b", {"a"})});
  harness_.below.cluster.End(harness_.below.cluster.WaitForLaunch("a").attempt, Outcome::kSucceeded,
                             "forty-two");
  v1::PopFinishedResponse popped = Pop("queue", {}, 60, 0);
  ASSERT_EQ(popped.tasks_size(), 1);
  EXPECT_EQ(popped.tasks(0).graph_id(), graph);
  EXPECT_EQ(popped.tasks(0).task_name(), "a");
  EXPECT_EQ(popped.tasks(0).return_value(), "forty-two");
  EXPECT_EQ(popped.tasks(0).attempts(), 1);
  EXPECT_EQ(Pop("queue").tasks(0).delivery_id(), popped.tasks(0).delivery_id())
      << "without a lease it goes on being offered";
  EXPECT_EQ(Pop("queue", {}, 0).tasks_size(), 0) << "it is leased";

  harness_.below.cluster.End(harness_.below.cluster.WaitForLaunch("b").attempt, Outcome::kExited,
                             "what went wrong", "exit status 4");
  popped = Pop("queue", {popped.tasks(0).delivery_id()});
  ASSERT_EQ(popped.tasks_size(), 1);
  const v1::TaskException& exception = popped.tasks(0).exception();
  EXPECT_EQ(exception.state(), v1::TASK_STATE_FAILED);
  EXPECT_EQ(exception.outcome(), v1::OUTCOME_EXITED);
  EXPECT_EQ(exception.exit_status(), 4);
  EXPECT_EQ(exception.value(), "what went wrong");
  EXPECT_FALSE(exception.message().empty());
  EXPECT_THAT(Pop("queue", {popped.tasks(0).delivery_id()}, 0).tasks(), IsEmpty());
}

TEST_F(TaskExecuterServiceTest, WaitsForWhatFinishesWithoutHoldingAThread) {
  // Far more waiting calls than there are threads.
  constexpr int kCalls = 64;
  std::vector<std::unique_ptr<Context>> contexts;
  std::vector<v1::PopFinishedResponse> responses(kCalls);
  std::atomic<int> done{0};
  v1::PopFinishedRequest request;
  request.set_client_queue("queue");
  request.set_max_tasks(1);
  request.mutable_wait()->set_seconds(600);
  for (int i = 0; i < kCalls; ++i) {
    contexts.push_back(std::make_unique<Context>());
    harness_.stub->async()->PopFinished(contexts.back().get(), &request, &responses[i],
                                        [&](const grpc::Status& status) {
                                          EXPECT_TRUE(status.ok()) << status.error_message();
                                          ++done;
                                        });
  }
  EXPECT_EQ(GraphCount(), 0);
  std::vector<v1::TaskSpec> tasks;
  for (int i = 0; i < kCalls; ++i) tasks.push_back(Task(absl::StrCat("t", i)));
  Submit(Graph("g", "queue"), tasks);
  for (const v1::TaskSpec& task : tasks) {
    harness_.below.cluster.End(harness_.below.cluster.WaitForLaunch(task.name()).attempt,
                               Outcome::kSucceeded);
  }
  ServiceHarness::Eventually([&] { return done == kCalls; });
  // Each has another task.
  std::set<std::string> names;
  for (const auto& response : responses) {
    ASSERT_EQ(response.tasks_size(), 1);
    names.insert(response.tasks(0).task_name());
  }
  EXPECT_EQ(names.size(), size_t{kCalls});
}

TEST_F(TaskExecuterServiceTest, GivesUpWaitingWhenTheClientDoes) {
  Context context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  v1::PopFinishedRequest request;
  request.set_client_queue("queue");
  request.mutable_wait()->set_seconds(600);
  v1::PopFinishedResponse response;
  const grpc::Status status = harness_.stub->PopFinished(&context, request, &response);
  EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(response.tasks_size(), 0);
}

TEST_F(TaskExecuterServiceTest, RefusesToAcknowledgeMillionsAtOnce) {
  Context context;
  v1::PopFinishedRequest request;
  request.set_client_queue("queue");
  for (int64_t id = 1; id <= 5'000'000; ++id) request.add_acknowledge(id);
  v1::PopFinishedResponse response;
  const grpc::Status status = harness_.stub->PopFinished(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const v1::Problems problems = GrpcHarness::ProblemsOf(context);
  ASSERT_EQ(problems.problems_size(), 1);
  EXPECT_EQ(problems.problems(0).field(), "acknowledge");
  EXPECT_THAT(problems.problems(0).message(), HasSubstr("at most 100000 ids"));
}

TEST_F(TaskExecuterServiceTest, RefusesToPopWithAllProblems) {
  Context context;
  v1::PopFinishedRequest request;
  request.set_max_tasks(10001);
  request.mutable_wait()->set_seconds(601);
  request.mutable_lease()->set_seconds(12 * 3600 + 1);
  request.set_resume(true);
  v1::PopFinishedResponse response;
  const grpc::Status status = harness_.stub->PopFinished(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(GrpcHarness::ProblemsOf(context).problems_size(), 5);
}

TEST_F(TaskExecuterServiceTest, ListsAndDeletesQueues) {
  Submit(Graph("g", "queue"), {Task("a"), Task("b")});
  for (const char* task : {"a", "b"}) {
    harness_.below.cluster.End(harness_.below.cluster.WaitForLaunch(task).attempt,
                               Outcome::kSucceeded);
  }
  const auto list = [&] {
    Context context;
    v1::ListQueuesResponse response;
    EXPECT_TRUE(harness_.stub->ListQueues(&context, {}, &response).ok());
    return response;
  };
  ServiceHarness::Eventually(
      [&] { return list().queues_size() == 1 && list().queues(0).size() == 2; });
  EXPECT_EQ(list().queues(0).name(), "queue");
  EXPECT_TRUE(list().queues(0).has_oldest_time());
  Context context;
  v1::DeleteQueueRequest request;
  request.set_client_queue("queue");
  v1::DeleteQueueResponse deleted;
  ASSERT_TRUE(harness_.stub->DeleteQueue(&context, request, &deleted).ok());
  EXPECT_EQ(deleted.tasks(), 2);
  EXPECT_EQ(list().queues_size(), 0);
  EXPECT_EQ(Pop("queue", {}, 0).tasks_size(), 0);
}

TEST_F(TaskExecuterServiceTest, ForgetsAGraphThatHasEnded) {
  const std::string graph = Submit(Graph("g", ""), {Task("a")});
  v1::ForgetGraphRequest request;
  request.set_graph_id(graph);
  v1::ForgetGraphResponse response;
  {
    Context context;
    EXPECT_EQ(harness_.stub->ForgetGraph(&context, request, &response).error_code(),
              grpc::StatusCode::FAILED_PRECONDITION);
  }
  harness_.below.cluster.End(harness_.below.cluster.WaitForLaunch("a").attempt,
                             Outcome::kSucceeded);
  harness_.below.WaitForState(1, planner::GraphState::kSucceeded);
  {
    Context context;
    EXPECT_TRUE(harness_.stub->ForgetGraph(&context, request, &response).ok());
  }
  EXPECT_EQ(GraphCount(), 0);
}

TEST_F(TaskExecuterServiceTest, RetriesOneTaskOfAGraphThatRuns) {
  const std::string graph =
      Submit(Graph("g", ""), {Task("a"), Task("after_a", {"a"}), Task("long")});
  harness_.below.cluster.End(harness_.below.cluster.WaitForLaunch("a").attempt, Outcome::kExited);
  harness_.below.WaitForTask(1, "after_a", v1::TASK_STATE_SKIPPED);
  v1::RetryRequest request;
  request.set_graph_id(graph);
  request.add_task_names("a");
  v1::RetryResponse response;
  {
    Context context;
    ASSERT_TRUE(harness_.stub->Retry(&context, request, &response).ok());
  }
  EXPECT_EQ(response.tasks(), 2);
  for (int i = 0; i < 1000; ++i) request.add_task_names("a");
  Context context;
  EXPECT_EQ(harness_.stub->Retry(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(TaskExecuterServiceTest, ACancelOfTasksSaysWhatIsSkipped) {
  const std::string graph = Submit(Graph("g", ""), {Task("a"), Task("b", {"a"}), Task("c", {"b"})});
  v1::CancelRequest request;
  request.set_graph_id(graph);
  request.add_task_names("b");
  Context context;
  v1::CancelResponse response;
  ASSERT_TRUE(harness_.stub->Cancel(&context, request, &response).ok());
  EXPECT_EQ(response.tasks(), 1);
  EXPECT_EQ(response.skipped(), 1);
}

TEST_F(TaskExecuterServiceTest, RefusesAContainerWhereTheClusterHasNone) {
  GrpcHarness local([](ServiceParts& parts) { parts.runs_containers = false; });
  v1::TaskSpec task = Task("a");
  task.mutable_container()->set_image("alpine:3");
  Context context;
  v1::SubmitGraphResponse response;
  EXPECT_EQ(local.Submit(Graph("g", ""), {task}, response, context, "").error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  ASSERT_EQ(GrpcHarness::ProblemsOf(context).problems_size(), 1);
  EXPECT_EQ(GrpcHarness::ProblemsOf(context).problems(0).field(), "tasks[\"a\"].container");
  Context executing;
  v1::ExecuteRequest request;
  *request.mutable_task() = task;
  v1::ExecuteResponse executed;
  EXPECT_EQ(local.stub->Execute(&executing, request, &executed).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(TaskExecuterServiceTest, TellsAllProblemsOfAGraphAndStoresNothing) {
  v1::TaskSpec empty;
  empty.set_name("-bad");
  (*empty.mutable_consumption())["ram"] = -1;
  Context context;
  v1::SubmitGraphResponse response;
  const grpc::Status status = harness_.Submit(Graph("bad name"), {Task("a"), empty}, response,
                                              context, std::string(129, 'x'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const v1::Problems problems = GrpcHarness::ProblemsOf(context);
  EXPECT_EQ(problems.total(), 5);
  std::vector<std::string> fields;
  for (const v1::Problem& problem : problems.problems()) fields.push_back(problem.field());
  EXPECT_THAT(fields, ElementsAre("request_id", "graph.name", "tasks[1].name", "tasks[1].command",
                                  "tasks[1].consumption[\"ram\"]"));
  EXPECT_THAT(status.error_message(), AllOf(HasSubstr("graph.name"), HasSubstr("tasks[1].name")));
  EXPECT_EQ(GraphCount(), 0);
}

TEST_F(TaskExecuterServiceTest, TellsTheSchedulersProblemsTheSameWay) {
  Context context;
  v1::SubmitGraphResponse response;
  const grpc::Status status = harness_.Submit(
      Graph("g"), {Task("a", {"b"}), Task("b", {"a"}), Task("c", {"nowhere"})}, response, context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(GrpcHarness::ProblemsOf(context).total(), 2);
  EXPECT_EQ(GraphCount(), 0);
}

TEST_F(TaskExecuterServiceTest, TellsProblemsOfFieldsAndOfTheGraphTogether) {
  v1::TaskSpec negative = Task("negative");
  (*negative.mutable_consumption())["cpu"] = -1;
  Context context;
  v1::SubmitGraphResponse response;
  harness_.Submit(Graph("g"),
                  {Task("twice"), Task("twice"), Task("lost", {"nobody"}), negative,
                   Task("round", {"trip"}), Task("trip", {"round"}), Task("-a"), Task("-b")},
                  response, context);
  const v1::Problems problems = GrpcHarness::ProblemsOf(context);
  EXPECT_EQ(problems.total(), 6) << problems.DebugString();
}

TEST_F(TaskExecuterServiceTest, CutsProblemsToWhatTheClientTakes) {
  std::vector<v1::TaskSpec> tasks(500);
  for (size_t i = 0; i < tasks.size(); ++i) tasks[i].set_name(absl::StrCat("-", i));
  {
    Context context;
    v1::SubmitGraphResponse response;
    const grpc::Status status = harness_.Submit(Graph("g"), tasks, response, context);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    const v1::Problems problems = GrpcHarness::ProblemsOf(context);
    EXPECT_EQ(problems.total(), 1000);
    EXPECT_GE(problems.problems_size(), 10);
    EXPECT_LT(problems.problems_size(), 100);
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 1 << 20);
  harness_.stub = v1::TaskExecuter::NewStub(harness_.NewChannel(arguments));
  Context context;
  context.AddMetadata("kartograph-metadata-bytes", absl::StrCat(1 << 20));
  v1::SubmitGraphResponse response;
  const grpc::Status status = harness_.Submit(Graph("g"), tasks, response, context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
  EXPECT_EQ(GrpcHarness::ProblemsOf(context).problems_size(), 100);
}

TEST_F(TaskExecuterServiceTest, RepeatsTheAnswerToARepeatedRequest) {
  const std::string first = Submit(Graph("g"), {Task("a")}, "request-1");
  EXPECT_EQ(Submit(Graph("g"), {Task("a")}, "request-1"), first);
  EXPECT_NE(Submit(Graph("g"), {Task("a")}, "request-2"), first);
  EXPECT_EQ(GraphCount(), 2);
}

TEST_F(TaskExecuterServiceTest, RunsATaskAlone) {
  Context context;
  v1::ExecuteRequest request;
  *request.mutable_task() = Task("alone");
  request.set_client_queue("queue");
  v1::ExecuteResponse response;
  ASSERT_TRUE(harness_.stub->Execute(&context, request, &response).ok());
  EXPECT_EQ(response.task_name(), "alone");
  harness_.below.cluster.End(harness_.below.cluster.WaitForLaunch("alone").attempt,
                             Outcome::kSucceeded);
  EXPECT_EQ(Pop("queue").tasks(0).graph_id(), response.graph_id());
}

TEST_F(TaskExecuterServiceTest, AddsTasksToAnOpenGraphUntilItIsClosed) {
  v1::GraphSpec open = Graph("open");
  open.set_open(true);
  const std::string graph = Submit(open, {});
  v1::ExecuteRequest request;
  *request.mutable_task() = Task("a");
  request.set_graph_id(graph);
  {
    Context context;
    v1::ExecuteResponse response;
    const grpc::Status status = harness_.stub->Execute(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.graph_id(), graph);
  }
  {
    Context context;
    v1::CloseGraphRequest close;
    close.set_graph_id(graph);
    v1::CloseGraphResponse response;
    ASSERT_TRUE(harness_.stub->CloseGraph(&context, close, &response).ok());
  }
  Context context;
  v1::ExecuteResponse response;
  *request.mutable_task() = Task("b");
  EXPECT_EQ(harness_.stub->Execute(&context, request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(TaskExecuterServiceTest, RefusesToExecuteWithAllProblems) {
  Context context;
  v1::ExecuteRequest request;
  request.set_graph_id("seventeen");
  request.set_client_queue("queue");
  v1::ExecuteResponse response;
  EXPECT_EQ(harness_.stub->Execute(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  const v1::Problems problems = GrpcHarness::ProblemsOf(context);
  std::vector<std::string> fields;
  for (const v1::Problem& problem : problems.problems()) fields.push_back(problem.field());
  EXPECT_THAT(fields, ElementsAre("task", "task.command", "graph_id", "client_queue"));
}

TEST_F(TaskExecuterServiceTest, CancelsAndRetries) {
  const std::string graph = Submit(Graph("g"), {Task("a"), Task("b", {"a"})});
  harness_.below.cluster.Run(harness_.below.cluster.WaitForLaunch("a").attempt);
  v1::CancelRequest cancel;
  cancel.set_graph_id(graph);
  v1::CancelResponse cancelled;
  {
    Context context;
    ASSERT_TRUE(harness_.stub->Cancel(&context, cancel, &cancelled).ok());
    EXPECT_EQ(cancelled.tasks(), 2);
  }
  harness_.below.WaitForState(1, planner::GraphState::kCancelled);
  {
    Context context;
    ASSERT_TRUE(harness_.stub->Cancel(&context, cancel, &cancelled).ok());
    EXPECT_EQ(cancelled.tasks(), 0);
  }
  Context context;
  v1::RetryRequest retry;
  retry.set_graph_id(graph);
  v1::RetryResponse retried;
  ASSERT_TRUE(harness_.stub->Retry(&context, retry, &retried).ok());
  EXPECT_EQ(retried.tasks(), 2);
}

TEST_F(TaskExecuterServiceTest, SaysWhatIsNotThere) {
  {
    Context context;
    v1::GetGraphRequest request;
    request.set_graph_id("g99");
    v1::Graph response;
    const grpc::Status status = harness_.stub->GetGraph(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(status.error_message(), "no graph \"g99\"");
  }
  Context context;
  v1::CancelRequest request;
  request.set_graph_id("ninety-nine");
  v1::CancelResponse response;
  const grpc::Status status = harness_.stub->Cancel(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("g17"));
}

TEST_F(TaskExecuterServiceTest, RefusesAGraphThatDoesNotBeginAsOne) {
  const auto refused = [&](std::vector<v1::SubmitGraphRequest> messages) {
    Context context;
    v1::SubmitGraphResponse response;
    auto writer = harness_.stub->SubmitGraph(&context, &response);
    for (const auto& message : messages) writer->Write(message);
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  v1::SubmitGraphRequest start;
  *start.mutable_graph()->mutable_graph() = Graph("g");
  v1::SubmitGraphRequest tasks;
  *tasks.mutable_tasks()->add_tasks() = Task("a");
  EXPECT_THAT(refused({}), HasSubstr("first message must be `graph`"));
  EXPECT_THAT(refused({tasks}), HasSubstr("first message must be `graph`"));
  EXPECT_THAT(refused({v1::SubmitGraphRequest()}), HasSubstr("first message must be `graph`"));
  EXPECT_THAT(refused({start, start}), HasSubstr("only the first message is `graph`"));
  EXPECT_EQ(GraphCount(), 0);
}

TEST_F(TaskExecuterServiceTest, StopsReceivingAGraphThatIsTooLarge) {
  Context context;
  v1::SubmitGraphResponse response;
  auto writer = harness_.stub->SubmitGraph(&context, &response);
  v1::SubmitGraphRequest message;
  *message.mutable_graph()->mutable_graph() = Graph("g");
  writer->Write(message);
  int sent = 0;
  do {
    message.mutable_tasks()->Clear();
    for (int i = 0; i < 100; ++i)
      *message.mutable_tasks()->add_tasks() = Task(absl::StrCat(++sent));
  } while (writer->Write(message));
  const grpc::Status status = writer->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), AllOf(HasSubstr("2100"), HasSubstr("2000")));
  EXPECT_EQ(GraphCount(), 0);
}

TEST_F(TaskExecuterServiceTest, StopsReceivingAGraphOfTooManyBytes) {
  v1::TaskSpec large = Task("a");
  large.mutable_command()->add_arguments(std::string(1 << 20, 'x'));
  Context context;
  v1::SubmitGraphResponse response;
  const grpc::Status status = harness_.Submit(Graph("g"), {large}, response, context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr(absl::StrCat(1 << 20)));
}

TEST_F(TaskExecuterServiceTest, NeverTakesPartOfAGraphForTheWhole) {
  for (int i = 0; i < 100; ++i) {
    Context context;
    v1::SubmitGraphResponse response;
    // A connection of its own that breaks, or a call that is cancelled.
    auto stub = v1::TaskExecuter::NewStub(harness_.NewChannel());
    auto writer = stub->SubmitGraph(&context, &response);
    v1::SubmitGraphRequest message;
    *message.mutable_graph()->mutable_graph() = Graph("half");
    ASSERT_TRUE(writer->Write(message));
    *message.mutable_tasks()->add_tasks() = Task("a");
    ASSERT_TRUE(writer->Write(message));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  Submit(Graph("whole"), {Task("a")});
  EXPECT_EQ(GraphCount(), 1);
}

}  // namespace
}  // namespace kartograph::service
