#include "service/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "executor/payload.pb.h"
#include "planner/states.h"

namespace kartograph::service {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

v1::TaskSpec Task(const std::string& name = "a") {
  v1::TaskSpec spec;
  spec.set_name(name);
  spec.mutable_command()->add_arguments("true");
  return spec;
}

std::vector<planner::Problem> ProblemsOf(const v1::TaskSpec& spec) {
  planner::ResourceNames names;
  ProblemList problems;
  ConvertTask(spec, TaskField(spec, 7), names, problems);
  return problems.problems();
}

auto At(const std::string& field) { return Field(&planner::Problem::field, field); }
auto Says(const std::string& words) { return Field(&planner::Problem::message, HasSubstr(words)); }
auto Was(const std::string& value) { return Field(&planner::Problem::value, value); }

google::protobuf::Duration Span(int64_t seconds, int32_t nanos = 0) {
  google::protobuf::Duration duration;
  duration.set_seconds(seconds);
  duration.set_nanos(nanos);
  return duration;
}

TEST(ConvertTaskTest, FillsInTheDefaults) {
  planner::ResourceNames names;
  ProblemList problems;
  const scheduler::TaskSubmission task = ConvertTask(Task(), 0, names, problems);
  EXPECT_THAT(problems.problems(), IsEmpty());
  EXPECT_EQ(task.name, "a");
  EXPECT_EQ(task.consumption.Get(planner::Resource::Cpu()), planner::Quantity::Of(1));
  EXPECT_EQ(task.consumption.size(), 1u);
  EXPECT_EQ(task.policy.timeout, absl::InfiniteDuration());
  EXPECT_EQ(task.policy.retry_delay, absl::Seconds(1));
  EXPECT_EQ(task.policy.max_retry_delay, absl::Minutes(5));
  EXPECT_EQ(task.policy.cancel_grace, absl::Seconds(10));
  EXPECT_EQ(task.policy.unreachable_timeout, absl::InfiniteDuration());
  EXPECT_EQ(task.policy.max_attempts, 1);
  EXPECT_EQ(task.policy.max_losses, 5);
  EXPECT_EQ(task.priority, 0);
}

TEST(ConvertTaskTest, KeepsWhatIsGiven) {
  v1::TaskSpec spec = Task("tiles/3[4]");
  spec.mutable_command()->add_arguments("x y");
  (*spec.mutable_command()->mutable_environment())["LANG"] = "C";
  spec.mutable_command()->set_directory("/tmp");
  (*spec.mutable_consumption())["cpu"] = 0;
  (*spec.mutable_consumption())["ram"] = 1024;
  spec.add_after("b");
  *spec.mutable_timeout() = Span(1, 500'000'000);
  *spec.mutable_retry_delay() = Span(0);
  *spec.mutable_max_retry_delay() = Span(60);
  *spec.mutable_cancel_grace() = Span(0);
  *spec.mutable_unreachable_timeout() = Span(90);
  *spec.mutable_expected_duration() = Span(300);
  spec.mutable_container()->set_image("alpine:3");
  spec.set_max_attempts(1000);
  spec.set_max_losses(2);
  spec.set_priority(-3);
  planner::ResourceNames names;
  ProblemList problems;
  const scheduler::TaskSubmission task = ConvertTask(spec, TaskField(spec, 0), names, problems);
  EXPECT_THAT(problems.problems(), IsEmpty());
  EXPECT_TRUE(task.consumption.Get(planner::Resource::Cpu()).is_zero());
  EXPECT_EQ(task.consumption.Get(planner::Resource::Ram()), planner::Quantity::Of(1024));
  EXPECT_THAT(task.after, ElementsAre("b"));
  EXPECT_EQ(task.policy.timeout, absl::Milliseconds(1500));
  EXPECT_EQ(task.policy.retry_delay, absl::ZeroDuration());
  EXPECT_EQ(task.policy.max_retry_delay, absl::Minutes(1));
  EXPECT_EQ(task.policy.cancel_grace, absl::ZeroDuration());
  EXPECT_EQ(task.policy.unreachable_timeout, absl::Seconds(90));
  EXPECT_EQ(task.expected_duration, absl::Minutes(5));
  EXPECT_EQ(task.policy.max_attempts, 1000);
  EXPECT_EQ(task.policy.max_losses, 2);
  EXPECT_EQ(task.priority, -3);
  executor::Payload payload;
  ASSERT_TRUE(payload.ParseFromString(task.payload));
  EXPECT_THAT(payload.arguments(), ElementsAre("true", "x y"));
  EXPECT_EQ(payload.environment().at("LANG"), "C");
  EXPECT_EQ(payload.directory(), "/tmp");
  EXPECT_EQ(payload.container().image(), "alpine:3");
}

TEST(ConvertTaskTest, StopsTheDoublingNotBelowTheFirstDelay) {
  v1::TaskSpec spec = Task();
  *spec.mutable_retry_delay() = Span(3600);
  planner::ResourceNames names;
  ProblemList problems;
  EXPECT_EQ(ConvertTask(spec, TaskField(spec, 0), names, problems).policy.max_retry_delay,
            absl::Hours(1));
  *spec.mutable_max_retry_delay() = Span(60);
  EXPECT_THAT(ProblemsOf(spec),
              ElementsAre(AllOf(At("tasks[\"a\"].max_retry_delay"), Says("retry_delay"))));
}

struct WrongName {
  std::string name;
  const char* words;
};
class NameTest : public testing::TestWithParam<WrongName> {};
TEST_P(NameTest, IsRefused) {
  EXPECT_THAT(ProblemsOf(Task(GetParam().name)),
              ElementsAre(AllOf(At("tasks[7].name"), Says(GetParam().words))));
}
constexpr char kWrongCharacter[] =
    "allowed are the letters A to Z and a to z, digits and _ . - / : + @ = , [ ]";
INSTANTIATE_TEST_SUITE_P(
    Wrong, NameTest,
    testing::Values(WrongName{"-a", "must not start with '-'"}, WrongName{"a b", kWrongCharacter},
                    WrongName{"a\"b", kWrongCharacter}, WrongName{"a\nb", kWrongCharacter},
                    WrongName{std::string("a\0b", 3), kWrongCharacter},
                    WrongName{"caf\xC3\xA9", kWrongCharacter}, WrongName{"a;b", kWrongCharacter},
                    WrongName{std::string(257, 'a'), "has 257 characters"}));

TEST(ConvertTaskTest, TakesATaskWithoutAName) { EXPECT_THAT(ProblemsOf(Task("")), IsEmpty()); }

TEST(ConvertTaskTest, TakesEveryCharacterOfANameThatIsAllowed) {
  EXPECT_THAT(ProblemsOf(Task("aZ09_.-/:+@=,[]")), IsEmpty());
  EXPECT_THAT(ProblemsOf(Task(std::string(256, 'a'))), IsEmpty());
}

class QuantityTest : public testing::TestWithParam<double> {};
TEST_P(QuantityTest, IsRefusedWithItsPlace) {
  v1::TaskSpec spec = Task();
  (*spec.mutable_consumption())["ram"] = GetParam();
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(AllOf(At("tasks[\"a\"].consumption[\"ram\"]"),
                                                  Was(absl::StrCat(GetParam())))));
}
INSTANTIATE_TEST_SUITE_P(Wrong, QuantityTest,
                         testing::Values(-1.0, -1e-9, kNan, kInfinity, -kInfinity, 1e16));

TEST(ConvertTaskTest, RefusesNamesThatAreNoResource) {
  for (const char* name : {"", "a b", "1st", "caf\xC3\xA9"}) {
    v1::TaskSpec spec = Task();
    (*spec.mutable_consumption())[name] = 1;
    EXPECT_THAT(ProblemsOf(spec),
                ElementsAre(Field(&planner::Problem::field, HasSubstr("].consumption[\""))))
        << name;
  }
}

TEST(ConvertTaskTest, WantsACommand) {
  v1::TaskSpec none = Task();
  none.clear_command();
  EXPECT_THAT(ProblemsOf(none), ElementsAre(AllOf(At("tasks[\"a\"].command"), Says("empty"))));
  v1::TaskSpec empty_program = Task();
  empty_program.mutable_command()->set_arguments(0, "");
  EXPECT_THAT(ProblemsOf(empty_program),
              ElementsAre(AllOf(At("tasks[\"a\"].command.arguments[0]"), Says("program"))));
  v1::TaskSpec blank = Task();
  blank.mutable_command()->clear_arguments();
  blank.mutable_command()->set_shell(" \t\n");
  EXPECT_THAT(ProblemsOf(blank),
              ElementsAre(AllOf(At("tasks[\"a\"].command.shell"), Says("blank"))));
}

TEST(ConvertTaskTest, TakesATextOfAnyLengthForAShell) {
  v1::TaskSpec spec = Task();
  v1::Command& command = *spec.mutable_command();
  command.clear_arguments();
  command.set_shell(std::string(200000, '#'));
  EXPECT_THAT(ProblemsOf(spec), IsEmpty());
  for (const char* word : {"bash", "-euo", "pipefail", "-c"}) command.add_arguments(word);
  EXPECT_THAT(ProblemsOf(spec), IsEmpty());
  command.set_worker(true);
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(At("tasks[\"a\"].command.worker")));
  command.set_worker(false);
  // Nobody knows how it would take a file.
  command.set_arguments(3, "host");
  EXPECT_THAT(ProblemsOf(spec),
              ElementsAre(AllOf(At("tasks[\"a\"].command.shell"), Says("has 200000 bytes"))));
  command.set_shell("true");
  EXPECT_THAT(ProblemsOf(spec), IsEmpty());
}

TEST(ConvertTaskTest, TakesEmptyArgumentsBehindTheProgram) {
  v1::TaskSpec spec = Task();
  spec.mutable_command()->add_arguments("");
  EXPECT_THAT(ProblemsOf(spec), IsEmpty());
}

TEST(ConvertTaskTest, RefusesZeroBytesEverywhere) {
  const std::string nul("x\0y", 3);
  v1::TaskSpec spec = Task();
  spec.mutable_command()->add_arguments(nul);
  (*spec.mutable_command()->mutable_environment())["A"] = nul;
  (*spec.mutable_command()->mutable_environment())[nul] = "b";
  spec.mutable_command()->set_directory("/" + nul);
  EXPECT_THAT(ProblemsOf(spec),
              UnorderedElementsAre(At("tasks[\"a\"].command.arguments[1]"),
                                   At("tasks[\"a\"].command.environment[\"A\"]"),
                                   At("tasks[\"a\"].command.environment[\"x\\x00y\"]"),
                                   At("tasks[\"a\"].command.directory")));
}

TEST(ConvertTaskTest, ChecksTheEnvironment) {
  v1::TaskSpec spec = Task();
  auto& environment = *spec.mutable_command()->mutable_environment();
  environment[""] = "a";
  environment["A=B"] = "a";
  environment["KARTOGRAPH_TASK"] = "a";
  EXPECT_THAT(
      ProblemsOf(spec),
      UnorderedElementsAre(
          AllOf(At("tasks[\"a\"].command.environment[\"\"]"), Says("empty")),
          AllOf(At("tasks[\"a\"].command.environment[\"A=B\"]"), Says("'='")),
          AllOf(At("tasks[\"a\"].command.environment[\"KARTOGRAPH_TASK\"]"), Says("reserved"))));
}

TEST(ConvertTaskTest, WantsAnAbsoluteDirectory) {
  v1::TaskSpec spec = Task();
  spec.mutable_command()->set_directory("/" + std::string(4095, 'x'));
  EXPECT_THAT(ProblemsOf(spec),
              ElementsAre(AllOf(At("tasks[\"a\"].command.directory"), Says("has 4096 bytes"))));
  spec.mutable_command()->set_directory("work");
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(AllOf(At("tasks[\"a\"].command.directory"), Was("work"),
                                                  Says("absolute"))));
}

TEST(ConvertTaskTest, ChecksTheContainer) {
  v1::TaskSpec spec = Task();
  spec.mutable_container()->set_image("alpine 3");
  const auto add = [&](const char* host_path, const char* container_path) {
    v1::Container::Volume& volume = *spec.mutable_container()->add_volumes();
    volume.set_host_path(host_path);
    volume.set_container_path(container_path);
  };
  add("maps", "/a");
  add("/maps", "");
  add("/maps", "a/../b");
  add("/maps", "/a");
  const std::string field = "tasks[\"a\"].container";
  EXPECT_THAT(ProblemsOf(spec),
              ElementsAre(AllOf(At(field + ".image"), Was("alpine 3"), Says("alpine:3")),
                          AllOf(At(field + ".volumes[0].host_path"), Says("absolute")),
                          AllOf(At(field + ".volumes[1].container_path"), Says("empty")),
                          AllOf(At(field + ".volumes[2].container_path"), Says("..")),
                          AllOf(At(field + ".volumes[3].container_path"), Says("two volumes"))));
}

TEST(ConvertTaskTest, ChecksAttempts) {
  for (int32_t attempts : {-1, 1001, INT32_MIN, INT32_MAX}) {
    v1::TaskSpec spec = Task();
    spec.set_max_attempts(attempts);
    EXPECT_THAT(ProblemsOf(spec), ElementsAre(AllOf(At("tasks[\"a\"].max_attempts"),
                                                    Was(absl::StrCat(attempts)), Says("1000"))));
  }
}

TEST(ConvertTaskTest, ATaskTakesSomeTime) {
  v1::TaskSpec spec = Task();
  *spec.mutable_expected_duration() = Span(0);
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(AllOf(At("tasks[\"a\"].expected_duration"), Was("0"),
                                                  Says("longer than 0"))));
  // What is finer than is stored is not nothing.
  *spec.mutable_expected_duration() = Span(0, 1);
  planner::ResourceNames names;
  ProblemList problems;
  EXPECT_EQ(ConvertTask(spec, "task", names, problems).expected_duration, absl::Microseconds(1));
  EXPECT_THAT(problems.problems(), IsEmpty());
  EXPECT_EQ(ConvertTask(Task(), "task", names, problems).expected_duration, absl::ZeroDuration());
}

TEST(ConvertTaskTest, ChecksLosses) {
  for (int32_t losses : {-1, 1001, INT32_MIN, INT32_MAX}) {
    v1::TaskSpec spec = Task();
    spec.set_max_losses(losses);
    EXPECT_THAT(ProblemsOf(spec), ElementsAre(AllOf(At("tasks[\"a\"].max_losses"),
                                                    Was(absl::StrCat(losses)), Says("1000"))));
  }
}

class DurationTest : public testing::TestWithParam<google::protobuf::Duration> {};
TEST_P(DurationTest, IsRefusedInEveryField) {
  v1::TaskSpec spec = Task();
  *spec.mutable_timeout() = GetParam();
  *spec.mutable_retry_delay() = GetParam();
  *spec.mutable_max_retry_delay() = GetParam();
  *spec.mutable_cancel_grace() = GetParam();
  *spec.mutable_unreachable_timeout() = GetParam();
  *spec.mutable_expected_duration() = GetParam();
  EXPECT_THAT(ProblemsOf(spec),
              UnorderedElementsAre(
                  At("tasks[\"a\"].timeout"), At("tasks[\"a\"].retry_delay"),
                  At("tasks[\"a\"].max_retry_delay"), At("tasks[\"a\"].cancel_grace"),
                  At("tasks[\"a\"].unreachable_timeout"), At("tasks[\"a\"].expected_duration")));
}
INSTANTIATE_TEST_SUITE_P(Wrong, DurationTest,
                         testing::Values(Span(-1), Span(0, -1), Span(1, -1), Span(-1, 1),
                                         Span(1, 1'000'000'000), Span(315'576'000'001),
                                         Span(INT64_MAX, INT32_MAX), Span(INT64_MIN, INT32_MIN)));

TEST(ConvertTaskTest, WantsATimeoutAboveZero) {
  v1::TaskSpec spec = Task();
  *spec.mutable_timeout() = Span(0);
  EXPECT_THAT(ProblemsOf(spec),
              ElementsAre(AllOf(At("tasks[\"a\"].timeout"), Says("longer than 0"))));
}

TEST(ConvertTaskTest, TellsEverythingAtOnce) {
  v1::TaskSpec spec = Task("bad name");
  spec.clear_command();
  (*spec.mutable_consumption())["cpu"] = kNan;
  spec.set_max_attempts(-1);
  *spec.mutable_timeout() = Span(-1);
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(At("tasks[7].name"), At("tasks[7].command"),
                                            At("tasks[7].consumption[\"cpu\"]"),
                                            At("tasks[7].timeout"), At("tasks[7].max_attempts")));
}

TEST(ConvertGraphTest, ChecksNameAndQueue) {
  v1::GraphSpec spec;
  spec.set_client_queue("a b");
  planner::ResourceNames names;
  ProblemList problems;
  ConvertGraph(spec, "graph", names, problems);
  EXPECT_THAT(problems.problems(), ElementsAre(At("graph.name"), At("graph.client_queue")));
}

TEST(ConvertGraphTest, Limits) {
  v1::GraphSpec spec;
  spec.set_name("g");
  (*spec.mutable_limits())["running"] = 20;
  (*spec.mutable_limits())["cpu"] = 1.5;
  planner::ResourceNames names;
  ProblemList problems;
  const planner::Cap cap = ConvertGraph(spec, "graph", names, problems).cap;
  EXPECT_TRUE(problems.problems().empty());
  EXPECT_EQ(cap.running, 20);
  EXPECT_EQ(cap.resources.Get(planner::Resource::Cpu()), planner::Quantity::FromMilli(1500));
  for (const double wrong : {0.0, -1.0, 1.5, 1e7}) {
    (*spec.mutable_limits())["running"] = wrong;
    ProblemList wrongs;
    ConvertGraph(spec, "graph", names, wrongs);
    EXPECT_THAT(wrongs.problems(), ElementsAre(At("graph.limits[\"running\"]")));
  }
}

TEST(ProblemListTest, TellsAHundredAndCountsAll) {
  ProblemList problems;
  for (int i = 0; i < 1000; ++i) problems.Add(absl::StrCat("f", i), "v", "m");
  int total = 0;
  EXPECT_EQ(planner::ProblemsOf(problems.ToStatus(), &total).size(), 100u);
  EXPECT_EQ(total, 1000);
}

TEST(ProblemListTest, ShortensValuesAndMakesThemPrintable) {
  ProblemList problems;
  problems.Add("f", std::string(1000, 'x'), "m");
  problems.Add("f", "a\nb\xFF", "m");
  EXPECT_EQ(problems.problems()[0].value, std::string(200, 'x') + "...");
  EXPECT_EQ(problems.problems()[1].value, "a b\xEF\xBF\xBD");
}

TEST(ConvertTest, ChecksRequestIds) {
  ProblemList problems;
  CheckRequestId("", problems);
  CheckRequestId(std::string(128, 'x'), problems);
  EXPECT_TRUE(problems.empty());
  CheckRequestId(std::string(129, 'x'), problems);
  CheckRequestId(std::string("\0", 1), problems);
  EXPECT_THAT(problems.problems(), ElementsAre(At("request_id"), At("request_id")));
}

TEST(ConvertTest, KnowsGraphIds) {
  ProblemList problems;
  EXPECT_EQ(ConvertGraphId("g17", problems), 17u);
  EXPECT_TRUE(problems.empty());
  for (const char* text : {"", "17", "g", "g0x1", "g-1", "g99999999999", " g1"}) {
    ProblemList wrong;
    EXPECT_EQ(ConvertGraphId(text, wrong), 0u);
    EXPECT_THAT(wrong.problems(), ElementsAre(AllOf(At("graph_id"), Says("g17")))) << text;
  }
}

TEST(ConvertTest, KnowsPages) {
  ProblemList problems;
  EXPECT_EQ(ConvertPageSize(0, problems), 100);
  EXPECT_EQ(ConvertPageSize(1000, problems), 1000);
  EXPECT_EQ(ConvertPageToken("", 't', problems), 0u);
  for (uint32_t place : {0u, 1u, 17u, 0xFFFFFFFFu}) {
    EXPECT_EQ(ConvertPageToken(MakePageToken('t', place), 't', problems), place);
  }
  EXPECT_TRUE(problems.empty());
  ConvertPageSize(-1, problems);
  ConvertPageSize(1001, problems);
  for (const char* token : {"t", "g1", "1", "tx", "t0x1", "t01", "t-1", "t1 ", "t123456789"}) {
    ConvertPageToken(token, 't', problems);
  }
  EXPECT_EQ(problems.size(), 11u);
}

TEST(ConvertTest, RefusesStatesThatAreNone) {
  google::protobuf::RepeatedField<int> states;
  states.Add(v1::TASK_STATE_RUNNING);
  states.Add(0);
  states.Add(99);
  ProblemList problems;
  EXPECT_THAT(ConvertTaskStates(states, problems), ElementsAre(planner::TaskState::kRunning));
  EXPECT_THAT(problems.problems(), ElementsAre(At("states[1]"), At("states[2]")));
}

TEST(ConvertTaskTest, ReadsWhichFailuresAreTriedAgain) {
  v1::TaskSpec spec;
  spec.set_name("a");
  spec.mutable_command()->add_arguments("true");
  spec.add_retry_on("64-78");
  spec.add_no_retry_on("SIGKILL");
  planner::ResourceNames names;
  ProblemList problems;
  const planner::RetryRule rule = ConvertTask(spec, "task", names, problems).policy.retry;
  EXPECT_TRUE(problems.empty());
  EXPECT_TRUE(rule.on.Contains(planner::Outcome::kExited, 75, 0));
  EXPECT_TRUE(rule.not_on.Contains(planner::Outcome::kSignalled, 0, 9));
  spec.add_retry_on("often");
  ConvertTask(spec, "task", names, problems);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems.problems()[0].field, "task.retry_on[1]");
  EXPECT_EQ(problems.problems()[0].value, "often");
}

}  // namespace
}  // namespace kartograph::service
