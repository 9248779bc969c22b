#include "service/messages.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/convert.h"

namespace kartograph::service {
namespace {

google::protobuf::Duration Span(int64_t seconds, int32_t nanos = 0) {
  google::protobuf::Duration duration;
  duration.set_seconds(seconds);
  duration.set_nanos(nanos);
  return duration;
}

TEST(MessagesTest, NumbersOfStatesAreTheContracts) {
  EXPECT_EQ(ToMessage(planner::TaskState::kWaiting), v1::TASK_STATE_WAITING);
  EXPECT_EQ(ToMessage(planner::TaskState::kReady), v1::TASK_STATE_READY);
  EXPECT_EQ(ToMessage(planner::TaskState::kLaunching), v1::TASK_STATE_LAUNCHING);
  EXPECT_EQ(ToMessage(planner::TaskState::kRunning), v1::TASK_STATE_RUNNING);
  EXPECT_EQ(ToMessage(planner::TaskState::kSucceeded), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(ToMessage(planner::TaskState::kFailed), v1::TASK_STATE_FAILED);
  EXPECT_EQ(ToMessage(planner::TaskState::kCancelled), v1::TASK_STATE_CANCELLED);
  EXPECT_EQ(ToMessage(planner::TaskState::kSkipped), v1::TASK_STATE_SKIPPED);
  EXPECT_EQ(ToMessage(planner::GraphState::kRunning), v1::GRAPH_STATE_RUNNING);
  EXPECT_EQ(ToMessage(planner::GraphState::kSucceeded), v1::GRAPH_STATE_SUCCEEDED);
  EXPECT_EQ(ToMessage(planner::GraphState::kFailed), v1::GRAPH_STATE_FAILED);
  EXPECT_EQ(ToMessage(planner::GraphState::kCancelled), v1::GRAPH_STATE_CANCELLED);
  EXPECT_EQ(ToMessage(planner::Outcome::kNone), v1::OUTCOME_UNSPECIFIED);
  EXPECT_EQ(ToMessage(planner::Outcome::kSucceeded), v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(ToMessage(planner::Outcome::kExited), v1::OUTCOME_EXITED);
  EXPECT_EQ(ToMessage(planner::Outcome::kSignalled), v1::OUTCOME_SIGNALLED);
  EXPECT_EQ(ToMessage(planner::Outcome::kTimedOut), v1::OUTCOME_TIMED_OUT);
  EXPECT_EQ(ToMessage(planner::Outcome::kOutOfMemory), v1::OUTCOME_OUT_OF_MEMORY);
  EXPECT_EQ(ToMessage(planner::Outcome::kCancelled), v1::OUTCOME_CANCELLED);
  EXPECT_EQ(ToMessage(planner::Outcome::kNotStarted), v1::OUTCOME_NOT_STARTED);
  EXPECT_EQ(ToMessage(planner::Outcome::kResultTooLarge), v1::OUTCOME_RESULT_TOO_LARGE);
  EXPECT_EQ(ToMessage(planner::Outcome::kLost), v1::OUTCOME_LOST);
  EXPECT_EQ(ToMessage(planner::Outcome::kRefused), v1::OUTCOME_REFUSED);
  EXPECT_EQ(ToMessage(planner::Outcome::kDropped), v1::OUTCOME_DROPPED);
  EXPECT_EQ(ToMessage(planner::Outcome::kGone), v1::OUTCOME_GONE);
  EXPECT_EQ(ToMessage(planner::Outcome::kUnreachable), v1::OUTCOME_UNREACHABLE);
  EXPECT_EQ(v1::Outcome_ARRAYSIZE, planner::kOutcomes);
}

TEST(MessagesTest, ATasksSpecificationComesBackAsItWasGiven) {
  v1::TaskSpec spec;
  spec.set_name("a");
  spec.mutable_command()->add_arguments("true");
  (*spec.mutable_consumption())["cpu"] = 0;
  (*spec.mutable_consumption())["ram"] = 5;
  spec.add_after("before");
  *spec.mutable_timeout() = Span(7, 1000);
  *spec.mutable_retry_delay() = Span(1);
  *spec.mutable_max_retry_delay() = Span(300);
  *spec.mutable_cancel_grace() = Span(10);
  *spec.mutable_unreachable_timeout() = Span(900);
  *spec.mutable_expected_duration() = Span(90);
  v1::Container::Volume& volume = *spec.mutable_container()->add_volumes();
  volume.set_host_path("/maps");
  volume.set_container_path("data");
  volume.set_read_only(true);
  spec.set_input(std::string("\0x", 2));
  spec.add_blobs(std::string(64, 'a'));
  spec.set_max_attempts(3);
  spec.set_max_losses(7);
  spec.set_priority(2);
  planner::ResourceNames names;
  ProblemList problems;
  const scheduler::TaskSubmission task = ConvertTask(spec, 0, names, problems);
  storage::TaskRow row;
  row.task = {.task = {},
              .name = task.name,
              .payload = task.payload,
              .consumption = task.consumption,
              .after = {0},
              .policy = task.policy,
              .priority = task.priority};
  row.task.expected_duration = task.expected_duration;
  const std::vector<std::string> after = {"before"};
  EXPECT_TRUE(
      google::protobuf::util::MessageDifferencer::Equals(ToMessage(row, true, after).spec(), spec));
}

TEST(MessagesTest, AnAgentTellsOfItselfAndItsHost) {
  scheduler::AgentSnapshot agent;
  agent.agent = "m";
  EXPECT_FALSE(ToMessage(agent).has_host() || ToMessage(agent).has_unavailable_from());
  EXPECT_FALSE(ToMessage(agent).has_unreachable_since() || ToMessage(agent).has_set_aside_until());
  agent.attributes = {{"rack", "b3"}};
  agent.unavailable_from = absl::FromUnixSeconds(5000);
  agent.unreachable_since = absl::FromUnixSeconds(6000);
  agent.set_aside_until = absl::FromUnixSeconds(7000);
  agent.failure = "disk full";
  agent.host.emplace();
  agent.host->report.time = absl::FromUnixSeconds(4000);
  agent.host->report.load = 1.5;
  agent.host->report.ram_available_bytes = 7;
  v1::Agent message = ToMessage(agent);
  EXPECT_EQ(message.attributes().at("rack"), "b3");
  EXPECT_EQ(message.unavailable_from().seconds(), 5000);
  EXPECT_EQ(message.unreachable_since().seconds(), 6000);
  EXPECT_EQ(message.set_aside_until().seconds(), 7000);
  EXPECT_EQ(message.failure(), "disk full");
  EXPECT_EQ(message.host().time().seconds(), 4000);
  EXPECT_EQ(message.host().load(), 1.5);
  EXPECT_EQ(message.host().ram_available_bytes(), 7u);
  EXPECT_FALSE(message.host().has_cpu_busy() || message.host().has_sent_bytes_per_second());
  agent.host->cpu_busy = 0;
  agent.host->received_per_second = 3;
  message = ToMessage(agent);
  EXPECT_TRUE(message.host().has_cpu_busy()) << "idle is not unknown";
  EXPECT_EQ(message.host().received_bytes_per_second(), 3);
}

TEST(MessagesTest, AnAttemptOutOfReachSaysSo) {
  scheduler::TaskSnapshot live;
  live.state = planner::TaskState::kRunning;
  live.reason = "its agent cannot be reached";
  scheduler::AttemptSnapshot attempt;
  attempt.attempt = planner::AttemptId::Of(planner::TaskKey::Of(1, 0), 1);
  attempt.unreachable_since = absl::FromUnixSeconds(9);
  v1::Task task;
  task.add_attempts()->set_attempt_id(planner::AttemptIdToString(attempt.attempt));
  Overlay(live, {attempt}, task);
  EXPECT_EQ(task.reason(), "its agent cannot be reached");
  EXPECT_EQ(task.attempts(0).unreachable_since().seconds(), 9);
}

TEST(MessagesTest, ProblemsStayBelowTheirLimit) {
  ProblemList problems;
  for (int i = 0; i < 90; ++i) {
    problems.Add(absl::StrCat("field", i), std::string(150, 'v'), std::string(100, 'm'));
  }
  const v1::Problems message = ProblemsMessage(problems.ToStatus(), 4096);
  EXPECT_LE(message.ByteSizeLong(), 4096u + 16);
  EXPECT_GT(message.problems_size(), 10);
  EXPECT_EQ(message.total(), 90);
}

TEST(HideVariablesTest, LeavesNothingThatIsTheSubmittersAlone) {
  v1::Task task;
  v1::TaskSpec& spec = *task.mutable_spec();
  (*spec.mutable_command()->mutable_environment())["PASSWORD"] = "secret";
  spec.mutable_command()->add_arguments("true");
  spec.set_input("secret");
  spec.set_input_blob("id");
  spec.add_blobs("id");
  HideVariables(task);
  EXPECT_EQ(spec.command().environment().at("PASSWORD"), "***");
  EXPECT_EQ(spec.command().arguments(0), "true");
  EXPECT_TRUE(spec.input().empty() && spec.input_blob().empty() && spec.blobs().empty());
}

}  // namespace
}  // namespace kartograph::service
