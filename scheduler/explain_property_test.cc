// What explanations say is what the plan does: random states, explained before and after each plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/explanation_text.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::GraphId;
using planner::Outcome;
using planner::TaskKey;
using planner::TaskState;
using Operator = planner::Constraint::Operator;

class ExplainPropertyTest : public ::testing::TestWithParam<int>, protected CoreStory {
 protected:
  ExplainPropertyTest()
      : CoreStory(With(With({}, "db", 6), "licences", 3), 3 + GetParam() % 4),
        random_(static_cast<unsigned>(GetParam())) {
    BeforePlan([this] { ExplainBeforePlan(); });
  }

  int Any(int from, int to) { return std::uniform_int_distribution<int>(from, to)(random_); }
  bool OneIn(int n) { return Any(1, n) == 1; }

  std::string AnyZone(int last) { return absl::StrCat(Any(1, last)); }
  // One that can have anything, and meets the constraints of this task.
  void AgentFor(TaskKey task) {
    Attributes attributes;
    for (const planner::Constraint& constraint :
         history().task(task).submitted.policy.constraints.all()) {
      if (!constraint.negated) attributes.emplace_back("zone", constraint.values.front());
    }
    Agent("new", With(Cpu(20), "ram", 20), 0, std::move(attributes));
  }

  // --- what there is ---

  std::vector<TaskKey> In(TaskState state) {
    std::vector<TaskKey> keys;
    for (GraphId graph : core().LiveGraphs()) {
      for (const TaskSnapshot& task : core().Tasks(graph, 0, 1000, {&state, 1})) {
        keys.push_back(task.task);
      }
    }
    return keys;
  }
  Explanation Explained(TaskKey task) { return *core().Explain(task, now()); }
  static std::string Word(TaskKey task) {
    return planner::AttemptIdToString(planner::AttemptId::Of(task, 0));
  }

  // For people who look for what is wrong.
  std::string Told(TaskKey task) {
    std::string told = absl::StrJoin(Sentences(Explained(task), now().wall), "\n  ");
    for (const AgentSnapshot& agent : core().Cluster(100, 0).agents) {
      absl::StrAppend(&told, "\nagent ", agent.name,
                      agent.connected ? ": " : " (away): ", agent.used.ToString(), " of ",
                      agent.capacity.ToString(), ", ", agent.attempts, " attempts ", agent.failure);
    }
    return told;
  }
  // Something in the explanation keeps the task from starting now.
  static bool HasObstacle(const Explanation& explanation) {
    return std::any_of(explanation.reasons.begin(), explanation.reasons.end(),
                       [](const scheduler::Reason& reason) {
                         return !std::holds_alternative<AboutToStart>(reason) &&
                                !std::holds_alternative<LaunchedAlone>(reason) &&
                                !std::holds_alternative<AvoidsAgent>(reason) &&
                                !std::holds_alternative<EndedInVain>(reason) &&
                                !std::holds_alternative<AgentReserved>(reason) &&
                                !std::holds_alternative<PoolsReserved>(reason);
                       });
  }
  // What is kept for others may be let in as time passes, or when what it is kept for starts.
  static bool MayBeLetIn(const Explanation& explanation) {
    if (explanation.Get<PoolKept>() != nullptr) return true;
    const auto* why = explanation.Get<NoAgent>();
    return why != nullptr && std::any_of(why->agents.begin(), why->agents.end(), [](const auto& a) {
             return a.first == AgentObstacle::kKept;
           });
  }

  // --- before and after a plan ---

  void ExplainBeforePlan() {
    free_.clear();
    said_.clear();
    may_be_let_in_.clear();
    apart_ = false;
    // What is kept for a task is computed anew with the plan.
    reserved_ = false;
    for (TaskKey task : In(TaskState::kReady)) {
      const Explanation explanation = Explained(task);
      said_[task] = OneLine(explanation.reasons);
      apart_ = apart_ || explanation.Get<LaunchedAlone>() != nullptr ||
               explanation.Get<AvoidsAgent>() != nullptr;
      if (!HasObstacle(explanation)) free_[explanation.ahead.count].push_back(task);
      if (MayBeLetIn(explanation)) may_be_let_in_.insert(task);
      reserved_ = reserved_ || explanation.Get<AgentReserved>() != nullptr ||
                  explanation.Get<PoolsReserved>() != nullptr;
    }
    for (const AgentSnapshot& agent : core().Cluster(1000, 0).agents) {
      apart_ = apart_ || !agent.failure.empty();
    }
  }

  // The plan was made: what was said before it is what it did.
  void Check() {
    const std::vector<executor::Launch> launches = Launches();
    if (launches.empty()) {
      // A suspect may make the plan empty an agent.
      EXPECT_TRUE(free_.empty() || apart_ || reserved_)
          << Word(free_.begin()->second.front()) << " could start, and does not";
    } else {
      const TaskKey first = launches.front().attempt.task();
      if (!apart_ && !reserved_ && may_be_let_in_.empty()) {
        ASSERT_FALSE(free_.empty()) << Word(first) << " starts, and could not:\n  " << said_[first];
        EXPECT_THAT(free_.begin()->second, ::testing::ElementsAre(first))
            << "the first of those that could start starts first";
      }
    }
    std::vector<TaskKey> about_to_start;
    for (TaskKey task : In(TaskState::kReady)) {
      if (!HasObstacle(Explained(task))) about_to_start.push_back(task);
      EXPECT_FALSE(core().Task(task)->reason.empty());
    }
    if (!about_to_start.empty()) {
      // Room was reserved, or given up, when the plan was made: the next one is due soon.
      EXPECT_LE(core().NextTimer(), now().steady + Reservations::kPeriod)
          << Word(about_to_start.front()) << " is said to be about to start:\n  "
          << Told(about_to_start.front());
      Wait(Reservations::kPeriod);
      Launches();
      for (TaskKey task : about_to_start) {
        const auto live = core().Task(task);
        EXPECT_TRUE(!live || live->state != TaskState::kReady || HasObstacle(Explained(task)))
            << Word(task) << " has not started:\n  " << Told(task);
      }
    }
    free_.clear();  // the next step may have no plan
  }

  // --- what happens ---

  planner::ResourceVector AnyConsumption() {
    planner::ResourceVector consumption = Cpu(Any(1, 4));
    if (OneIn(3)) consumption = With(consumption, "db", Any(1, 4));
    if (OneIn(4)) consumption = With(consumption, "licences", Any(1, 3));
    if (OneIn(4)) consumption = With(consumption, "ram", Any(1, 3));
    return consumption;
  }

  void SubmitSome() {
    std::vector<Task> tasks;
    const int count = Any(1, 6);
    for (int i = 0; i < count; ++i) {
      Task task(absl::StrCat("t", i));
      task.Needs(AnyConsumption()).Priority(OneIn(3) ? Any(-2, 2) : 0).Attempts(Any(1, 3));
      // None is in zone 3.
      if (OneIn(3)) task.Where({"zone", Operator::kEquals, OneIn(3), {AnyZone(3)}});
      if (OneIn(3)) task.AvoidLastFailure();
      if (OneIn(4)) task.Spread(absl::StrCat("group", Any(1, 2)), Any(1, 2));
      if (i > 0 && OneIn(3)) task.After({absl::StrCat("t", Any(0, i - 1))});
      tasks.push_back(task);
    }
    (void)TrySubmit(Graph(tasks));  // one that can never run is refused
  }

  void On(TaskKey task) {
    GoOnWith(task.graph());
    name_ = history().task(task).submitted.name;
  }

  void EndOne(TaskKey task) {
    On(task);
    switch (Any(0, 9)) {
      case 0:
        return Fails(name_);
      case 1:
        return Ends(name_, Outcome::kAgentFailed, "no space");
      case 2:
        return Ends(name_, Outcome::kNotStarted, "no program");
      default:
        return Succeeds(name_, absl::Seconds(Any(1, 300)));
    }
  }

  void AddAgent() {
    Agent(absl::StrCat("m", Any(1, 4)), With(Cpu(Any(2, 8)), "ram", Any(1, 4)), OneIn(3) ? 4 : 0,
          {{"zone", AnyZone(2)}});
  }

  void Something() {
    std::vector<TaskKey> alive = In(TaskState::kRunning);
    for (TaskKey task : In(TaskState::kLaunching)) alive.push_back(task);
    const int what = Any(0, 19);
    if (what < 3) {
      SubmitSome();
    } else if (what < 5) {
      AddAgent();
    } else if (what == 5 && OneIn(2)) {
      LoseAgent(absl::StrCat("m", Any(1, 4)));
    } else if (what < 9) {
      Wait(absl::Milliseconds(Any(1, 3) * Any(1, 1000)));
    } else if (what == 9) {
      Wait(absl::Seconds(Any(1, 100)));
    } else if (!alive.empty()) {
      const TaskKey task = alive[static_cast<size_t>(Any(0, static_cast<int>(alive.size()) - 1))];
      if (core().Task(task)->state == TaskState::kLaunching && OneIn(2)) {
        On(task);
        Runs(name_);
      } else {
        EndOne(task);
      }
    }
  }

  // --- taking away what is in the way ---

  void EndAttemptOf(TaskKey task) {
    const auto live = core().Task(task);
    ASSERT_TRUE(live &&
                (live->state == TaskState::kLaunching || live->state == TaskState::kRunning))
        << Word(task) << " is said to hold something";
    On(task);
    Succeeds(name_, absl::Seconds(10));
  }
  void EndAll(const Holders& holders) {
    ASSERT_FALSE(holders.first.empty());
    std::vector<TaskKey> tasks;
    for (const Holder& holder : holders.first) tasks.push_back(holder.task.task);
    for (TaskKey task : tasks) {
      // The end of one may have ended its graph, and others with it.
      const auto live = core().Task(task);
      if (live && !planner::IsFinal(live->state)) EndAttemptOf(task);
    }
  }

  // One thing that is named as being in the way of the task goes away.
  void Remove(TaskKey task, int depth) {
    ASSERT_LT(depth, 50) << "tasks that wait for each other";
    const Explanation explanation = Explained(task);
    for (const scheduler::Reason& reason : explanation.reasons) {
      if (const auto* pool = std::get_if<PoolShort>(&reason)) return EndAll(pool->holders);
      if (const auto* pool = std::get_if<PoolKept>(&reason)) {
        return Remove(pool->kept_for.task, depth + 1);
      }
      if (const auto* off = std::get_if<BacksOff>(&reason)) {
        return Wait(off->until - now().wall);
      }
      if (std::holds_alternative<ClusterAway>(reason) ||
          std::holds_alternative<NothingOffered>(reason) ||
          std::holds_alternative<NeverFits>(reason)) {
        return AgentFor(task);
      }
      if (const auto* why = std::get_if<NoAgent>(&reason)) return Remove(task, *why, depth);
    }
    // Room was reserved, or given up, when the plan was made: the next one is due soon.
    ASSERT_LE(core().NextTimer(), now().steady + Reservations::kPeriod)
        << Word(task) << " has nothing in its way: " << OneLine(explanation.reasons);
    Wait(Reservations::kPeriod);
  }

  void Remove(TaskKey task, const NoAgent& why, int depth) {
    if (!why.best) {  // no agent is there
      for (const auto& [obstacle, count] : why.agents) {
        ASSERT_EQ(obstacle, AgentObstacle::kAway) << Word(task);
      }
      return AgentFor(task);
    }
    switch (why.best->obstacle) {
      case AgentObstacle::kLacks:
      case AgentObstacle::kNoSlot:
      case AgentObstacle::kBusy:
      case AgentObstacle::kSpread:
        return EndAll(why.best->holders);
      case AgentObstacle::kAlone:
        // It is emptied for a suspect, or runs one.
        if (!why.best->kept_for) return Wait(Isolation::kPatience);
        return EndAttemptOf(why.best->kept_for->task);
      case AgentObstacle::kKept:
        ASSERT_TRUE(why.best->kept_for);
        return Remove(why.best->kept_for->task, depth + 1);
      case AgentObstacle::kFailing:
        if (why.best->set_aside_until) return Wait(*why.best->set_aside_until - now().wall);
        // What is tried there runs.
        for (TaskKey tried : In(TaskState::kLaunching)) {
          On(tried);
          Runs(name_);
        }
        return;
      case AgentObstacle::kAvoided:
      case AgentObstacle::kAway:
      case AgentObstacle::kTooSmall:
      case AgentObstacle::kConstraint:
        return AgentFor(task);
      default:
        FAIL() << "agent " << why.best->name << " could have it";
    }
  }

  std::mt19937 random_;
  std::string name_;
  std::map<int64_t, std::vector<TaskKey>> free_;  // by how many go before them
  std::map<TaskKey, std::string> said_;
  std::set<TaskKey> may_be_let_in_;
  bool apart_ = false;     // not everything is packed
  bool reserved_ = false;  // something is kept for a task
};

TEST_P(ExplainPropertyTest, WhatIsSaidIsWhatHappens) {
  for (int i = 0; i < 60; ++i) {
    Something();
    Check();
    if (HasFailure()) FAIL() << "step " << i << " of seed " << GetParam();
  }
}

TEST_P(ExplainPropertyTest, WhenWhatIsNamedGoesAwayTheTaskStarts) {
  for (int i = 0; i < 60; ++i) Something();
  std::vector<TaskKey> ready = In(TaskState::kReady);
  std::shuffle(ready.begin(), ready.end(), random_);
  for (TaskKey task : ready) {
    for (int i = 0;; ++i) {
      const auto live = core().Task(task);
      if (!live || live->state != TaskState::kReady) break;
      ASSERT_LT(i, 500) << Word(task) << " still waits: " << live->reason;
      Remove(task, 0);
      if (HasFailure()) FAIL() << "seed " << GetParam();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ExplainPropertyTest, ::testing::Range(0, 150));

}  // namespace
}  // namespace kartograph::scheduler
