#include "planner/schedule_generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "planner/activity_list.h"
#include "planner/packed_project.h"
#include "planner/testing/random_project.h"

namespace kartograph::planner {
namespace {

Schedule Generate(const Project& project, const std::vector<TaskIndex>& order, Scheme scheme,
                  Direction direction = Direction::kForward) {
  const PackedProject packed(project);
  Schedule schedule;
  ScheduleGenerator::Make(&packed)->Generate(packed.Numbers(order), scheme, direction, &schedule);
  return packed.ByTask(schedule);
}

// Task 1 is wide and waits for task 0; task 2 fits beside task 0 and is long.
Project WideAndLong() { return {{2, 3, 4}, Adjacency({{1}, {}, {}}), {2}, {1, 2, 1}}; }

TEST(ScheduleGeneratorTest, SerialPlacesEachAsEarlyAsPossible) {
  EXPECT_EQ(Generate(WideAndLong(), {0, 1, 2}, Scheme::kSerial).starts,
            (std::vector<int64_t>{0, 2, 5}));
  EXPECT_EQ(Generate(WideAndLong(), {2, 0, 1}, Scheme::kSerial).starts,
            (std::vector<int64_t>{0, 4, 0}));
}

TEST(ScheduleGeneratorTest, ParallelNeverKeepsBackWhatFits) {
  EXPECT_EQ(Generate(WideAndLong(), {0, 1, 2}, Scheme::kParallel).starts,
            (std::vector<int64_t>{0, 4, 0}));
}

TEST(ScheduleGeneratorTest, BackwardIsTheMirrorImage) {
  // Backward, 2 comes last and 1 before it; 0 has to end before 1 starts.
  EXPECT_EQ(Generate(WideAndLong(), {2, 1, 0}, Scheme::kSerial, Direction::kBackward).starts,
            (std::vector<int64_t>{0, 2, 5}));
}

TEST(ScheduleGeneratorTest, FillsGapsBeforeWhatIsPlaced) {
  const Project project = {{2, 5, 2}, Adjacency({{1}, {}, {}}), {1}, {1, 1, 0}};
  EXPECT_EQ(Generate(project, {0, 1, 2}, Scheme::kSerial).starts, (std::vector<int64_t>{0, 2, 0}));
}

TEST(ScheduleGeneratorTest, CountsExactlyWhatHasNoCommonUnit) {
  // Thirds of a capacity that is no round number, and one unit more than the last third.
  constexpr int64_t kThird = 1'000'000'007;
  Project project = {{1, 1, 1}, Adjacency({{}, {}, {}}), {3 * kThird}, {kThird, kThird, kThird}};
  EXPECT_EQ(Generate(project, {0, 1, 2}, Scheme::kSerial).makespan, 1);
  EXPECT_EQ(Generate(project, {0, 1, 2}, Scheme::kParallel).makespan, 1);
  ++project.demands[2];
  EXPECT_EQ(Generate(project, {0, 1, 2}, Scheme::kSerial).makespan, 2);
  EXPECT_EQ(Generate(project, {0, 1, 2}, Scheme::kParallel).makespan, 2);
}

TEST(ScheduleGeneratorTest, AnEmptyProjectIsDoneAtOnce) {
  EXPECT_EQ(Generate(Project(), {}, Scheme::kSerial), (Schedule{{}, 0}));
  EXPECT_EQ(Generate(Project(), {}, Scheme::kParallel), (Schedule{{}, 0}));
}

// Nothing that waits at a time at which something starts could start there as well.
void ExpectNonDelay(const Project& project, const Schedule& schedule) {
  for (TaskIndex task = 0; task < project.size(); ++task) {
    int64_t ready = 0;
    for (TaskIndex other = 0; other < project.size(); ++other) {
      const auto next = project.successors[other];
      if (std::find(next.begin(), next.end(), task) == next.end()) continue;
      ready = std::max(ready, schedule.starts[other] + project.durations[other]);
    }
    for (int64_t time = ready; time < schedule.starts[task]; ++time) {
      bool fits = true;
      for (size_t r = 0; r < project.capacities.size(); ++r) {
        int64_t used = project.demand(task)[r];
        for (TaskIndex other = 0; other < project.size(); ++other) {
          const bool runs = schedule.starts[other] <= time &&
                            time < schedule.starts[other] + project.durations[other];
          if (runs) used += project.demand(other)[r];
        }
        fits &= used <= project.capacities[r];
      }
      EXPECT_FALSE(fits) << "task " << task << " could start at " << time;
    }
  }
}

TEST(ScheduleGeneratorTest, SchedulesOfRandomProjectsAreFeasible) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomProjectOptions options;
    options.tasks = 1 + seed % 40;
    options.resources = seed % (kMaxProjectResources + 1);
    options.capacity = seed % 3 == 0 ? 10 : seed % 3 == 1 ? 30'000 : int64_t{1} << 60;
    options.edges = 0.5 * static_cast<double>(seed % 5);
    const Project project = RandomProject(seed, options);
    ASSERT_TRUE(CheckProject(project).ok()) << CheckProject(project);
    const PackedProject packed(project);
    const auto generator = ScheduleGenerator::Make(&packed);
    ActivityListMaker lists(&packed);
    RandomChoices random(seed);
    ActivityList list;
    Schedule schedule;
    for (Scheme scheme : {Scheme::kSerial, Scheme::kParallel}) {
      lists.Sample(random, &list);
      Direction direction = Direction::kForward;
      for (int i = 0; i < 3; ++i) {
        generator->Generate(list, scheme, direction, &schedule);
        ASSERT_TRUE(CheckSchedule(project, packed.ByTask(schedule)).ok())
            << CheckSchedule(project, packed.ByTask(schedule));
        if (scheme == Scheme::kParallel && direction == Direction::kForward) {
          ExpectNonDelay(project, packed.ByTask(schedule));
        }
        direction = direction == Direction::kForward ? Direction::kBackward : Direction::kForward;
        ListByTime(packed, schedule, direction, &list);
      }
    }
  }
}

TEST(ScheduleGeneratorTest, JustificationNeverMakesASerialScheduleLonger) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const PackedProject packed(RandomProject(seed));
    const auto generator = ScheduleGenerator::Make(&packed);
    ActivityListMaker lists(&packed);
    RandomChoices random(seed);
    ActivityList list;
    Schedule schedule;
    lists.Sample(random, &list);
    generator->Generate(list, Scheme::kSerial, Direction::kForward, &schedule);
    for (Direction direction : {Direction::kBackward, Direction::kForward}) {
      const int64_t before = schedule.makespan;
      ListByTime(packed, schedule, direction, &list);
      generator->Generate(list, Scheme::kSerial, direction, &schedule);
      EXPECT_LE(schedule.makespan, before) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace kartograph::planner
