// What people ask for: submit, extend, close, cancel; and the problems reported to them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "planner/problems.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::GraphId;
using planner::Outcome;
using planner::Problem;
using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ResourceVector Pool(int64_t connections) {
  return {{Resource::Named("db_connections"), Quantity::Of(connections)}};
}

class SubmitTest : public ::testing::Test, protected CoreStory {};
class FeasibilityTest : public ::testing::Test, protected CoreStory {
 protected:
  FeasibilityTest() : CoreStory(Pool(3)) {}
};
class CancelTest : public ::testing::Test, protected CoreStory {};
class OpenGraphTest : public ::testing::Test, protected CoreStory {};

TEST_F(SubmitTest, GraphsAreNumberedInOrder) {
  EXPECT_EQ(Submit(Graph({Task("a")})), 1u);
  EXPECT_EQ(Submit(Graph({Task("a")})), 2u);
  EXPECT_THAT(core().LiveGraphs(), ElementsAre(1, 2));
}

TEST_F(SubmitTest, NumbersGoOnAfterARestart) {
  Submit(Graph({Task("a")}));
  Cancel("a").value();
  Restart();
  EXPECT_EQ(Submit(Graph({Task("a")})), 2u);
}

TEST_F(SubmitTest, AWrongGraphLeavesNothingBehindAndUsesNoNumber) {
  Agent("m", Cpu(1));
  const absl::Status status =
      TrySubmit(Graph({Task("a").After({"b"}), Task("b").After({"a"}), Task("c").After({"nobody"}),
                       Task("c"), Task("huge").Needs(Cpu(5))}));
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(planner::ProblemsOf(status), SizeIs(4)) << status;
  EXPECT_THAT(core().LiveGraphs(), IsEmpty());
  EXPECT_THAT(history().graphs(), IsEmpty());
  EXPECT_EQ(Submit(Graph({Task("a")})), 1u);
}

TEST_F(SubmitTest, NamesOfAGraphThatIsRefusedTakeNoPlace) {
  Agent("m", Cpu(1));
  const size_t before = planner::Resource::Count();
  for (int i = 0; i < 5000; ++i) {
    planner::ResourceNames names;
    const planner::Resource unknown = *names.Intern(absl::StrCat("nobody.has.", i));
    const absl::Status status =
        TrySubmit(Graph({Task("a").Needs({{unknown, planner::Quantity::Of(1)}})}));
    ASSERT_TRUE(absl::IsInvalidArgument(status));
  }
  EXPECT_EQ(planner::Resource::Count(), before);
}

TEST_F(SubmitTest, NamesOfAGraphThatIsTakenStay) {
  planner::Quantity one = planner::Quantity::Of(1);
  {
    // No agent was seen yet, so it waits for one that has it.
    planner::ResourceNames names;
    Submit(Graph({Task("a").Needs({{*names.Intern("rare.thing"), one}})}));
  }
  const std::optional<planner::Resource> kept = planner::Resource::Find("rare.thing");
  ASSERT_TRUE(kept.has_value());
  Agent("m", {{*kept, one}});
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(SubmitTest, AGraphWithoutTasksMustBeOpen) {
  EXPECT_THAT(planner::ProblemsOf(TrySubmit(Graph({}))), SizeIs(1));
  EXPECT_TRUE(TrySubmit(Graph({}).Open()).ok());
}

TEST(SubmitLimitTest, AGraphOverTheConfiguredSizeIsRefused) {
  Core core({{}, 2}, {});
  Step step;
  EXPECT_TRUE(
      core.SubmitGraph(Prepare(Graph({Task("a"), Task("b")}).Get()), {Instant(), step}).ok());
  step.Clear();
  const absl::Status status =
      core.SubmitGraph(Prepare(Graph({Task("a"), Task("b"), Task("c")}).Get()), {Instant(), step})
          .status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--max-graph-tasks"));
  EXPECT_THAT(step.records, IsEmpty());
}

TEST(SubmitLimitTest, AnOpenGraphDoesNotGrowBeyondTheConfiguredSize) {
  Core core({{}, 1}, {});
  Step step;
  const GraphId graph =
      *core.SubmitGraph(Prepare(Graph({Task("a")}).Open().Get()), {Instant(), step});
  EXPECT_TRUE(absl::IsResourceExhausted(
      core.AddTasks(graph, {Task("b").Get()}, {{}}, {Instant(), step}).status()));
}

TEST_F(FeasibilityTest, BeforeTheFirstOfferNobodyKnowsWhatThereIs) {
  EXPECT_TRUE(TrySubmit(Graph({Task("a").Needs(Cpu(1000))})).ok());
  Connect();
  EXPECT_TRUE(TrySubmit(Graph({Task("a").Needs(Cpu(1000))})).ok());
}

TEST_F(FeasibilityTest, SaysHowMuchThereIsAtMost) {
  Agent("small", With(Cpu(2), "ram", 1 << 30));
  Agent("large", With(Cpu(8), "ram", 1 << 20));
  const std::vector<Problem> problems = planner::ProblemsOf(
      TrySubmit(Graph({Task("wide").Needs(Cpu(9)), Task("right").Needs(Cpu(8)),
                       Task("deep").Needs(With(Cpu(1), "ram", int64_t{2} << 30))})));
  EXPECT_THAT(problems, ElementsAre(Problem{"tasks[\"wide\"].consumption[\"cpu\"]", "9",
                                            "is more than any agent has; ask for at most 8"},
                                    Problem{"tasks[\"deep\"].consumption[\"ram\"]", "2GiB",
                                            "is more than any agent has; ask for at most 1GiB"}));
}

TEST_F(FeasibilityTest, TellsEveryTaskThatCanNeverRun) {
  Agent("m", Cpu(1));
  EXPECT_THAT(planner::ProblemsOf(
                  TrySubmit(Graph({Task("a").Needs(Cpu(2)), Task("b"), Task("c").Needs(Cpu(2))}))),
              SizeIs(2));
}

TEST_F(FeasibilityTest, TellsAllThatIsWrongWithATask) {
  Agent("m", Cpu(4));
  planner::ResourceVector needs = With(Cpu(9), "licence", 1);
  needs.Set(planner::Resource::Named("db_connections"), Quantity::Of(4));
  needs.Set(planner::Resource::Named("db_conections"), Quantity::Of(1));
  std::vector<std::string> fields;
  for (const Problem& problem :
       planner::ProblemsOf(TrySubmit(Graph({Task("a").Needs(needs), Task("b")})))) {
    fields.push_back(problem.field);
  }
  EXPECT_THAT(fields, testing::UnorderedElementsAre("tasks[\"a\"].consumption[\"cpu\"]",
                                                    "tasks[\"a\"].consumption[\"licence\"]",
                                                    "tasks[\"a\"].consumption[\"db_connections\"]",
                                                    "tasks[\"a\"].consumption[\"db_conections\"]"));
}

TEST_F(FeasibilityTest, OneAgentMustHaveAllOfIt) {
  Agent("fast", With(Cpu(8), "ram", 10));
  Agent("large", With(Cpu(1), "ram", 1000));
  const std::vector<Problem> problems =
      planner::ProblemsOf(TrySubmit(Graph({Task("a").Needs(With(Cpu(4), "ram", 500))})));
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].field, "tasks[\"a\"].consumption");
  EXPECT_EQ(problems[0].message, "no single agent has all of this together");
}

TEST_F(FeasibilityTest, SaysWhereNobodyHasAResourceAtAll) {
  Agent("m", Cpu(1));
  const std::vector<Problem> problems =
      planner::ProblemsOf(TrySubmit(Graph({Task("a").Needs(With(Cpu(1), "gpu", 1))})));
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].field, "tasks[\"a\"].consumption[\"gpu\"]");
  EXPECT_THAT(problems[0].message, HasSubstr("no agent and no pool has this resource"));
}

TEST_F(FeasibilityTest, APoolsCapacityIsKnownFromTheBeginning) {
  const std::vector<Problem> problems =
      planner::ProblemsOf(TrySubmit(Graph({Task("a").Needs(With(Cpu(1), "db_connections", 4))})));
  EXPECT_THAT(problems, ElementsAre(Problem{"tasks[\"a\"].consumption[\"db_connections\"]", "4",
                                            "is more than the pool holds; ask for at most 3"}));
  EXPECT_TRUE(TrySubmit(Graph({Task("a").Needs(With(Cpu(1), "db_connections", 3))})).ok());
}

class IndexedTest : public ::testing::Test, protected CoreStory {
 protected:
  IndexedTest()
      : CoreStory({}, planner::Packer::kUnlimitedSlots, {planner::Resource::Named("gpu")}) {}
  static Task TaskWith(const char* name, int milli) {
    planner::ResourceVector needs = Cpu(1);
    needs.Set(planner::Resource::Named("gpu"), Quantity::FromMilli(milli));
    return Task(name).Needs(needs);
  }
};

TEST_F(IndexedTest, APartOfAnInstanceIsRefused) {
  // Before there is an agent, too.
  EXPECT_THAT(planner::ProblemsOf(
                  TrySubmit(Graph({TaskWith("a", 500), TaskWith("b", 1500), TaskWith("c", 2000)}))),
              ElementsAre(Problem{"tasks[\"a\"].consumption[\"gpu\"]", "0.5",
                                  "is not a whole number, and gpu is handed out in whole "
                                  "instances; ask for 1"},
                          Problem{"tasks[\"b\"].consumption[\"gpu\"]", "1.5",
                                  "is not a whole number, and gpu is handed out in whole "
                                  "instances; ask for 1 or 2"}));
  Agent("m", With(Cpu(8), "gpu", 2));
  EXPECT_TRUE(TrySubmit(Graph({TaskWith("a", 1000)})).ok());
  EXPECT_TRUE(TrySubmit(Graph({Task("a").Needs(With(Cpu(1), "fpga", 0))})).ok());
}

TEST_F(FeasibilityTest, AnAgentThatIsAwayCounts) {
  Agent("m", Cpu(8));
  Disconnect();
  EXPECT_TRUE(TrySubmit(Graph({Task("a").Needs(Cpu(8))})).ok());
  EXPECT_FALSE(TrySubmit(Graph({Task("a").Needs(Cpu(9))})).ok());
}

TEST_F(CancelTest, WhatHasNotBegunIsCancelledAtOnce) {
  Submit(Graph({Task("a"), Task("b")}));
  EXPECT_EQ(Cancel("a").value(), 1);
  EXPECT_EQ(States(), "a=cancelled b=ready");
  EXPECT_EQ(Reason("a"), "cancelled on request");
  Agent("m", Cpu(2));
  EXPECT_THAT(Started(), ElementsAre("b"));
  Succeeds("b");
  EXPECT_EQ(GraphState(), "cancelled");
}

TEST_F(CancelTest, WhatRunsIsFinalWhenItsAttemptHasEnded) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Grace(absl::Seconds(3)), Task("b").After({"a"})}));
  Runs("a");
  EXPECT_EQ(Cancel("a").value(), 1);
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
  EXPECT_THAT(CancelGraces(), ElementsAre(absl::Seconds(3)));
  EXPECT_EQ(States(), "a=running b=waiting");
  EXPECT_EQ(Reason("a"), "is being cancelled");
  Ends("a", Outcome::kCancelled);
  EXPECT_EQ(States(), "a=cancelled b=skipped");
  EXPECT_EQ(GraphState(), "cancelled");
}

TEST_F(CancelTest, WhatIsBeingLaunchedIsCancelledToo) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  EXPECT_EQ(Cancel("a").value(), 1);
  EXPECT_EQ(State("a"), "launching");
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
  Ends("a", Outcome::kLost, "never heard of it");
  EXPECT_EQ(State("a"), "cancelled");
}

TEST_F(CancelTest, ACancelThatComesTooLateLosesToTheSuccess) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a"), Task("b").After({"a"})}).Queue("client"));
  Runs("a");
  EXPECT_EQ(Cancel("a").value(), 1);
  Succeeds("a");
  EXPECT_EQ(States(), "a=succeeded b=launching");
  EXPECT_THAT(Finished(), ElementsAre(testing::Pair("a", "succeeded")));
  Succeeds("b");
  EXPECT_EQ(GraphState(), "succeeded");
}

TEST_F(CancelTest, WhatWasCancelledIsNotTriedAgain) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(5)}));
  Runs("a");
  EXPECT_EQ(Cancel("a").value(), 1);
  Fails("a");  // as many programs do on SIGTERM
  EXPECT_EQ(State("a"), "cancelled");
}

TEST_F(CancelTest, EndsTheBackOff) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2)}));
  Fails("a");
  EXPECT_EQ(Cancel("a").value(), 1);
  EXPECT_EQ(State("a"), "cancelled");
  Started();
  Wait(absl::Minutes(1));
  EXPECT_THAT(Started(), IsEmpty());
}

TEST_F(CancelTest, AskingAgainTellsTheAgentAgain) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Runs("a");
  EXPECT_EQ(Cancel("a").value(), 1);
  EXPECT_EQ(Cancel("a").value(), 1);
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1", "g1.0.1"));
}

TEST_F(CancelTest, OfAFinalTaskDoesNothing) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a"), Task("b")}));
  Succeeds("a");
  EXPECT_EQ(Cancel("a").value(), 0);
  EXPECT_EQ(State("a"), "succeeded");
}

TEST_F(CancelTest, OfAGraphCountsWhatWasNotFinal) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b"), Task("c").After({"b"}), Task("d").After({"a"})}));
  Succeeds("a");
  Runs("b");
  EXPECT_EQ(CancelGraph().value(), 3);
  EXPECT_EQ(States(), "a=succeeded b=running c=cancelled d=launching");
  EXPECT_EQ(GraphState(), "running");
  Ends("b", Outcome::kCancelled);
  Ends("d", Outcome::kCancelled);
  EXPECT_EQ(GraphState(), "cancelled");
}

TEST_F(CancelTest, OfAGraphThatIsNotLiveIsNotFound) {
  Submit(Graph({Task("a")}));
  EXPECT_EQ(CancelGraph().value(), 1);
  EXPECT_TRUE(absl::IsNotFound(CancelGraph().status()));
}

TEST_F(OpenGraphTest, TakesTasksUntilItIsClosedAndEndsThen) {
  Agent("m", Cpu(4));
  Submit(Graph({}).Open());
  ASSERT_TRUE(Add(Task("a")).ok());
  ASSERT_TRUE(Add(Task("b").After({"a"})).ok());
  EXPECT_THAT(Started(), ElementsAre("a"));
  Succeeds("a");
  EXPECT_THAT(Started(), ElementsAre("b"));
  Succeeds("b");
  EXPECT_EQ(GraphState(), "running") << "something may be added yet";
  ASSERT_TRUE(Add(Task("c").After({"a", "b"})).ok());
  EXPECT_THAT(Started(), ElementsAre("c")) << "all before it had succeeded";
  ASSERT_TRUE(Close().ok());
  EXPECT_EQ(GraphState(), "running");
  Succeeds("c");
  EXPECT_EQ(GraphState(), "succeeded");
}

TEST_F(OpenGraphTest, ItsTasksTogetherAskForAFewResources) {
  Submit(Graph({}).Open());
  const auto add = [&](size_t i) {
    const Resource one = Resource::Named(absl::StrCat("of.open.", i));
    return Add(Task(absl::StrCat("t", i)).Needs({{one, Quantity::Of(1)}}));
  };
  for (size_t i = 0; i < planner::ResourceNames::kMaxNames; ++i) ASSERT_TRUE(add(i).ok()) << i;
  const absl::Status status = add(planner::ResourceNames::kMaxNames);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("64 different resources"));
  EXPECT_TRUE(Add(Task("known").Needs({{Resource::Named("of.open.7"), Quantity::Of(2)}})).ok());
}

TEST_F(OpenGraphTest, ClosingWhatHasNothingLeftEndsIt) {
  Submit(Graph({}).Open());
  ASSERT_TRUE(Close().ok());
  EXPECT_EQ(GraphState(), "succeeded");
}

TEST_F(OpenGraphTest, ATaskAddedAfterAFailureIsSkipped) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a"), Task("b")}).Open().Queue("client"));
  Fails("a");
  ASSERT_TRUE(Add(Task("c").After({"b", "a"})).ok());
  EXPECT_EQ(States(), "a=failed b=launching c=skipped");
  EXPECT_EQ(Reason("c"), "comes after \"a\", which did not succeed");
  EXPECT_THAT(Finished(), SizeIs(2));
  Succeeds("b");
  EXPECT_EQ(State("c"), "skipped");
}

TEST_F(OpenGraphTest, AFailureReachesWhatWasAddedLater) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a"), Task("b").After({"a"})}).Open());
  ASSERT_TRUE(Add(Task("c").After({"b"})).ok());
  ASSERT_TRUE(Add(Task("d").After({"c", "a", "a"})).ok());
  Fails("a");
  EXPECT_EQ(States(), "a=failed b=skipped c=skipped d=skipped");
}

TEST_F(OpenGraphTest, AClosedGraphTakesNothing) {
  Submit(Graph({Task("a")}).Open());
  ASSERT_TRUE(Close().ok());
  EXPECT_TRUE(Close().ok()) << "closing twice is no error";
  EXPECT_TRUE(absl::IsFailedPrecondition(Add(Task("b"))));
}

TEST_F(OpenGraphTest, AFailFastGraphTakesNothingAfterAFailure) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b")}).Open().FailFast());
  Fails("a");
  absl::Status added = Add(Task("c"));
  EXPECT_TRUE(absl::IsFailedPrecondition(added));
  EXPECT_EQ(std::string(added.message()),
            "graph \"g1\" has a failed task and takes no more, as it is fail_fast");
  Ends("b", Outcome::kCancelled);
  EXPECT_EQ(GraphState(), "failed") << "nobody has to close it";
}

TEST_F(OpenGraphTest, WhatCanNeverRunIsNotAdded) {
  Agent("m", Cpu(1));
  Submit(Graph({}).Open());
  EXPECT_THAT(planner::ProblemsOf(Add(Task("a").Needs(Cpu(2)))), SizeIs(1));
  EXPECT_EQ(States(), "");
}

TEST_F(OpenGraphTest, CancellingItClosesIt) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}).Open());
  Runs("a");
  EXPECT_EQ(CancelGraph().value(), 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(Add(Task("b"))));
  Ends("a", Outcome::kCancelled);
  EXPECT_EQ(GraphState(), "cancelled");
}

TEST_F(OpenGraphTest, WhatWasAddedIsThereAfterARestart) {
  Submit(Graph({Task("a")}).Open());
  ASSERT_TRUE(Add(Task("b").After({"a"})).ok());
  Restart();
  EXPECT_EQ(States(), "a=ready b=waiting");
  ASSERT_TRUE(Add(Task("c").After({"b"})).ok());
  Agent("m", Cpu(1));
  Succeeds("a");
  Succeeds("b");
  Succeeds("c");
  ASSERT_TRUE(Close().ok());
  EXPECT_EQ(GraphState(), "succeeded");
}

}  // namespace
}  // namespace kartograph::scheduler
