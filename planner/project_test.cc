#include "planner/project.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "planner/testing/psplib_reader.h"

namespace kartograph::planner {
namespace {

// Two tasks, one after the other, that each hold 2 of 3.
Project TwoTasks() { return {{4, 5}, Adjacency({{1}, {}}), {3}, {2, 2}}; }

std::string Refusal(const Project& project) { return std::string(CheckProject(project).message()); }

TEST(ProjectTest, AcceptsWhatMakesSense) {
  EXPECT_TRUE(CheckProject(TwoTasks()).ok());
  EXPECT_TRUE(CheckProject(Project()).ok());
}

TEST(ProjectTest, RefusesATaskThatCanNeverStart) {
  Project project = TwoTasks();
  project.demands[1] = 4;
  EXPECT_EQ(Refusal(project), "task 1 demands 4 of resource 0, of which there is 3");
}

TEST(ProjectTest, RefusesDurationsThatAreNoTimes) {
  Project project = TwoTasks();
  project.durations[0] = -1;
  EXPECT_EQ(Refusal(project), "task 0 has the duration -1, which is negative");
  project.durations = {1, std::numeric_limits<int64_t>::max() / 4};
  EXPECT_EQ(Refusal(project),
            "task 1 has the duration 2305843009213693951; all together are too long");
}

TEST(ProjectTest, RefusesCyclesAndPartsThatDoNotFitTogether) {
  Project project = TwoTasks();
  project.successors = Adjacency({{1}, {0}});
  EXPECT_EQ(Refusal(project), "the tasks of a project form a cycle");
  project.successors = Adjacency({{1}, {2}});
  EXPECT_EQ(Refusal(project), "task 1 has the successor 2, which is not there");
  project = TwoTasks();
  project.demands.pop_back();
  EXPECT_EQ(Refusal(project),
            "a project of 2 tasks has successors of 2 and 1 demands for 1 resources");
  project = TwoTasks();
  project.capacities.resize(17);
  EXPECT_EQ(Refusal(project), "a project has 17 resources; at most 16 are possible");
}

TEST(ProjectTest, ChecksSchedules) {
  const Project project = TwoTasks();
  EXPECT_TRUE(CheckSchedule(project, {{0, 4}, 9}).ok());
  EXPECT_EQ(CheckSchedule(project, {{0, 3}, 8}).message(), "task 1 starts before task 0 has ended");
  EXPECT_EQ(CheckSchedule(project, {{0, 4}, 8}).message(), "a schedule ends at 9 and says 8");
  EXPECT_EQ(CheckSchedule(project, {{-1, 4}, 9}).message(), "task 0 starts before 0");
  EXPECT_EQ(CheckSchedule(project, {{0}, 4}).message(), "a schedule has 1 starts for 2 tasks");
  Project parallel = project;
  parallel.successors = Adjacency({{}, {}});
  EXPECT_EQ(CheckSchedule(parallel, {{0, 3}, 8}).message(),
            "more of resource 0 is used at 3 than there is");
}

TEST(ProjectTest, OrdersTopologically) {
  EXPECT_EQ(TopologicalOrder(Adjacency({{}, {0}, {1, 0}})), (std::vector<TaskIndex>{2, 1, 0}));
  EXPECT_EQ(TopologicalOrder(Adjacency({{1}, {0}})).size(), 0u);
}

TEST(PsplibReaderTest, ReadsAnInstance) {
  constexpr char kText[] =
      "projects                      :  1\n"
      "PRECEDENCE RELATIONS:\n"
      "jobnr.    #modes  #successors   successors\n"
      "   1        1          1           2\n"
      "   2        1          1           3\n"
      "   3        1          0        \n"
      "****\n"
      "REQUESTS/DURATIONS:\n"
      "jobnr. mode duration  R 1  R 2\n"
      "------\n"
      "  1      1     0       0    0\n"
      "  2      1     7       3    1\n"
      "  3      1     0       0    0\n"
      "****\n"
      "RESOURCEAVAILABILITIES:\n"
      "  R 1  R 2\n"
      "   12   13\n";
  const absl::StatusOr<Project> project = ParsePsplib(kText);
  ASSERT_TRUE(project.ok()) << project.status();
  EXPECT_EQ(project->durations, (std::vector<int64_t>{0, 7, 0}));
  EXPECT_EQ(project->capacities, (std::vector<int64_t>{12, 13}));
  EXPECT_EQ(project->demand(1), (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(project->successors[1], (std::vector<TaskIndex>{2}));
  EXPECT_FALSE(ParsePsplib("nothing of the kind").ok());
}

}  // namespace
}  // namespace kartograph::planner
