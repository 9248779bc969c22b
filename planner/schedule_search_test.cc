#include "planner/schedule_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "planner/makespan_bounds.h"
#include "planner/one_pass_order.h"
#include "planner/testing/psplib_reader.h"
#include "planner/testing/random_project.h"

namespace kartograph::planner {
namespace {

TEST(ScheduleSearchTest, FindsWhatNoDispatcherWould) {
  // 0 --> 1 (wide) --> 2 (long); 3 fits beside 0, but then 1 has to wait for it. Only a schedule
  // that keeps 3 back for 1 is optimal.
  const Project project = {{1, 1, 10, 3}, Adjacency({{1}, {2}, {}, {}}), {2}, {1, 2, 1, 1}};
  EXPECT_EQ(Dispatch(project, OnePassOrder(project)).makespan, 14);
  ScheduleSearch search(project);
  search.Run(50);
  EXPECT_EQ(search.best().makespan, 12);
  EXPECT_TRUE(search.done());
}

TEST(ScheduleSearchTest, StopsAtALowerBound) {
  const Project chain = {{3, 4}, Adjacency({{1}, {}}), {1}, {1, 1}};
  ScheduleSearch search(chain);
  EXPECT_FALSE(search.done());
  search.Run(1000);
  EXPECT_TRUE(search.done());
  EXPECT_EQ(search.schedules(), 1);
  EXPECT_EQ(search.best(), (Schedule{{0, 3}, 7}));
  EXPECT_EQ(search.DispatchOrder(), (std::vector<TaskIndex>{0, 1}));
}

TEST(ScheduleSearchTest, IsTheSameForASeedAndANumberOfSchedulesHoweverItIsCut) {
  const Project project = RandomProject(5, {.tasks = 60, .resources = 3});
  ScheduleSearch whole(
      project, {.seed = 3, .planned_schedules = 400, .first_order = {}, .for_dispatcher = false});
  whole.Run(333);
  ScheduleSearch cut(
      project, {.seed = 3, .planned_schedules = 400, .first_order = {}, .for_dispatcher = false});
  int asked = 0;
  while (cut.schedules() < 333) {
    cut.Run(333, [&] { return ++asked % 7 != 0; });
    ASSERT_LT(asked, 1000);
  }
  EXPECT_EQ(whole.best(), cut.best());
  EXPECT_EQ(whole.DispatchOrder(), cut.DispatchOrder());
  EXPECT_EQ(whole.schedules(), 333);
}

TEST(ScheduleSearchTest, EveryScheduleItGivesIsFeasible) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomProjectOptions options;
    options.tasks = 1 + seed % 50;
    options.resources = 1 + seed % 5;
    options.longest = seed % 2 == 0 ? 10 : 7'000'000'000;  // also microseconds
    const Project project = RandomProject(seed, options);
    ScheduleSearch search(
        project,
        {.seed = seed, .planned_schedules = 300, .first_order = {}, .for_dispatcher = false});
    int64_t before = INT64_MAX;
    for (int i = 0; i < 300 && !search.done(); ++i) {
      search.Step();
      ASSERT_EQ(search.schedules(), i + 1);
      if (search.best().makespan == before) continue;
      ASSERT_LT(search.best().makespan, before);
      before = search.best().makespan;
      ASSERT_TRUE(CheckSchedule(project, search.best()).ok())
          << CheckSchedule(project, search.best());
    }
    EXPECT_GE(before, FindMakespanBounds(project).Best());
  }
}

TEST(ScheduleSearchTest, ItsOrderIsNoWorseForADispatcherThanTheOneItBeganWith) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const Project project = RandomProject(seed, {.tasks = 50, .resources = 2});
    const std::vector<TaskIndex> order = OnePassOrder(project);
    ScheduleSearch search(project, {.seed = seed,
                                    .planned_schedules = 100,
                                    .first_order = order,
                                    .for_dispatcher = seed % 2 == 0});
    search.Run(100);
    const int64_t makespan = Dispatch(project, search.DispatchOrder()).makespan;
    EXPECT_LE(makespan, Dispatch(project, order).makespan) << "seed " << seed;
    EXPECT_LE(search.best().makespan, makespan) << "seed " << seed;
    EXPECT_LE(makespan, search.best_dispatched().makespan) << "seed " << seed;
  }
}

TEST(ScheduleSearchTest, ForADispatcherItFindsWhatTheDispatcherMakesOfItsOrder) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const Project project = RandomProject(seed, {.tasks = 50, .resources = 2});
    ScheduleSearch search(
        project,
        {.seed = seed, .planned_schedules = 200, .first_order = {}, .for_dispatcher = true});
    search.Run(200);
    EXPECT_EQ(Dispatch(project, search.DispatchOrder()).makespan, search.best().makespan);
    EXPECT_EQ(search.best(), search.best_dispatched());
  }
}

TEST(ScheduleSearchTest, AnEmptyProjectHasAScheduleOfNothing) {
  ScheduleSearch search{Project()};
  search.Run(3);
  EXPECT_EQ(search.best().makespan, 0);
  EXPECT_TRUE(search.DispatchOrder().empty());
}

// Instances of PSPLIB with their optima, as the library's own list has them.
class PsplibTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("KARTOGRAPH_DATA");
    if (folder == nullptr) GTEST_SKIP() << "KARTOGRAPH_DATA names no folder of recorded data";
    folder_ = absl::StrCat(folder, "/psplib/");
  }
  Project Read(const std::string& name) {
    std::ifstream file(folder_ + name, std::ios::binary);
    absl::StatusOr<Project> project =
        ParsePsplib(std::string(std::istreambuf_iterator<char>(file), {}));
    EXPECT_TRUE(project.ok()) << name << ": " << project.status();
    return project.ok() ? *std::move(project) : Project();
  }

 private:
  std::string folder_;
};

TEST_F(PsplibTest, FindsProvenOptima) {
  struct Known {
    const char* name;
    int64_t optimum;
  };
  for (const Known& known :
       {Known{"j60/j601_1.sm", 77}, Known{"j60/j601_2.sm", 68}, Known{"j60/j6010_8.sm", 65},
        Known{"j60/j6014_1.sm", 61}, Known{"j60/j6017_1.sm", 86}, Known{"j60/j6018_1.sm", 81},
        Known{"j120/j1201_4.sm", 97}, Known{"j120/j1203_5.sm", 84}}) {
    const Project project = Read(known.name);
    ScheduleSearch search(project);
    search.Run(5000);
    EXPECT_EQ(search.best().makespan, known.optimum) << known.name;
    EXPECT_TRUE(CheckSchedule(project, search.best()).ok()) << known.name;
    EXPECT_LE(search.lower_bound(), known.optimum) << known.name;
  }
}

}  // namespace
}  // namespace kartograph::planner
