#include "cli/wf_format.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace kartograph::cli {
namespace {

constexpr char kInstance[] = R"({
  "name": "small flow",
  "schemaVersion": "1.5",
  "createdAt": "2024-01-01",
  "workflow": {
    "specification": {
      "tasks": [
        {"name": "split", "id": "split 1", "parents": [], "children": ["work_2", "work_3"]},
        {"name": "work", "id": "work_2", "parents": ["split 1"], "children": []},
        {"name": "work", "id": "work_3", "parents": []}
      ],
      "files": []
    },
    "execution": {
      "makespanInSeconds": 3,
      "tasks": [
        {"id": "split 1", "runtimeInSeconds": 1.25, "coreCount": 400.0, "memoryInBytes": 1},
        {"id": "work_2", "runtimeInSeconds": 0},
        {"id": "work_3", "runtimeInSeconds": 2}
      ]
    }
  }
})";

std::string ProblemsOf(absl::string_view from, absl::string_view to) {
  FileProblems problems;
  EXPECT_FALSE(
      ParseGraphFile(absl::StrReplaceAll(kInstance, {{from, to}}), GraphFileOptions(), &problems)
          .has_value());
  return problems.ToString("f");
}

TEST(WfFormatTest, MakesTasksThatSleepAsLongAsTheyOnceRan) {
  FileProblems problems;
  GraphFileOptions options;
  options.scale = 0.1;
  const auto file = ParseGraphFile(kInstance, options, &problems);
  ASSERT_TRUE(file.has_value()) << problems.ToString("f");
  EXPECT_EQ(file->spec.name(), "small_flow");
  EXPECT_EQ(file->edges, 2);
  ASSERT_EQ(file->tasks->size(), 3u);
  std::vector<v1::TaskSpec> tasks(3);
  for (size_t i = 0; i < tasks.size(); ++i) file->tasks->Read(i, &tasks[i]);
  EXPECT_EQ(tasks[0].name(), "split_1");
  ASSERT_EQ(tasks[0].command().arguments_size(), 2);
  EXPECT_EQ(tasks[0].command().arguments(0), "sleep");
  EXPECT_EQ(tasks[0].command().arguments(1), "0.125");
  EXPECT_EQ(tasks[0].expected_duration().nanos(), 125000000);
  EXPECT_EQ(tasks[1].command().arguments(1), "0.000");
  EXPECT_FALSE(tasks[1].has_expected_duration());
  EXPECT_EQ(tasks[0].consumption_size(), 1);
  EXPECT_EQ(tasks[0].consumption().at("cpu"), 1);
  EXPECT_EQ(tasks[0].after_size(), 0);
  ASSERT_EQ(tasks[1].after_size(), 1);  // given by both, one edge
  EXPECT_EQ(tasks[1].after(0), "split_1");
  ASSERT_EQ(tasks[2].after_size(), 1);  // given by the parent alone
  EXPECT_EQ(tasks[2].after(0), "split_1");
}

TEST(WfFormatTest, RefusesOtherVersionsAndBrokenInstances) {
  EXPECT_EQ(ProblemsOf("\"1.5\"", "\"1.3\""),
            "f:3:20: schemaVersion: this is WfFormat \"1.3\"; version \"1.5\" can be read\n");
  EXPECT_EQ(ProblemsOf("\"execution\"", "\"other\""),
            "f:5:15: workflow.execution.tasks: is missing; it says how long each task ran\n");
  EXPECT_EQ(ProblemsOf("\"id\": \"work_2\", \"runtime", "\"id\": \"work_9\", \"runtime"),
            "f:9:32: workflow.specification.tasks[1]: \"work_2\" has no runtime in "
            "workflow.execution.tasks\n");
  EXPECT_EQ(ProblemsOf("{\"id\": \"work_3\", \"run", "{\"run"),
            "f:10:32: workflow.specification.tasks[2]: \"work_3\" has no runtime in "
            "workflow.execution.tasks\n"
            "f:19:9: workflow.execution.tasks[2]: expected a task with \"id\" and "
            "\"runtimeInSeconds\"\n");
  EXPECT_EQ(ProblemsOf(": 1.25", ": -1"),
            "f:17:47: workflow.execution.tasks[0]: expected a number of seconds, not negative, "
            "found \"-1\"\n");
  EXPECT_EQ(ProblemsOf("[\"split 1\"]", "[\"splat\"]"),
            "f:9:54: workflow.specification.tasks[1].parents: unknown task \"splat\"\n");
  EXPECT_EQ(ProblemsOf("{\"id\": \"work_2\", \"run", "{\"id\": \"w\", \"id\": \"work_2\", \"run"),
            "f:9:32: workflow.specification.tasks[1]: \"work_2\" has no runtime in "
            "workflow.execution.tasks\n"
            "f:18:21: workflow.execution.tasks[1].id: duplicate key; first given on line 18\n");
  EXPECT_EQ(ProblemsOf("\"execution\":", "\"specification\": [], \"execution\":"),
            "f:14:5: workflow.specification: duplicate key; first given on line 6\n");
  EXPECT_EQ(ProblemsOf("\"execution\": {", "\"execution\": 5, \"other\": {"),
            "f:5:15: workflow.execution.tasks: is missing; it says how long each task ran\n"
            "f:14:18: workflow.execution: expected a mapping, found \"5\"\n");
  EXPECT_NE(ProblemsOf("\"children\": []", "\"children\": [\"split 1\"]").find("cycle"),
            std::string::npos);
}

}  // namespace
}  // namespace kartograph::cli
