// What wrong graph files are answered with, word for word.
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "cli/graph_file.h"

namespace kartograph::cli {
namespace {

std::string ProblemsOf(const std::string& text) {
  FileProblems problems;
  EXPECT_FALSE(ParseGraphFile(text, GraphFileOptions(), &problems).has_value());
  return problems.ToString("f.yaml");
}

// Of one task with this line beside name and command.
std::string ProblemsOfTask(absl::string_view line) {
  return ProblemsOf(absl::StrCat("tasks:\n  - name: a\n    command: [x]\n    ", line, "\n"));
}

TEST(GraphFileProblemsTest, SaysAllProblemsAtOnceWithTheirPlaces) {
  EXPECT_EQ(
      ProblemsOf(R"(name: bad name
fail_fast: yes
priority: 3
defaults:
  timeout: soon
  command: [x]
tasks:
  - name: decode
    command: []
    consumption: {ram: 12 floppies, cpu: -1}
  - nme: load
    command: ""
    after: [decod]
  - just text
  - name: decode
    command: {a: b}
    timeout: 0
    max_attempts: 0
)"),
      "f.yaml:1:7: name: \"bad name\" has a character that a name cannot have; allowed are "
      "letters, digits and _ . - / : + @ = , [ ]\n"
      "f.yaml:2:12: fail_fast: \"yes\" stands where true or false is expected\n"
      "f.yaml:3:1: \"priority\" is not a known key; known are name, queue, fail_fast, defaults, "
      "tasks\n"
      "f.yaml:5:12: defaults.timeout: \"soon\" is not a duration; give one such as 30s, 500ms, 5m, "
      "1h30m or 2d\n"
      "f.yaml:6:3: defaults: \"command\" belongs to each task and has no default\n"
      "f.yaml:9:14: tasks[0].command: the command is empty\n"
      "f.yaml:10:24: tasks[0].consumption.ram: \"12 floppies\" has the unknown unit "
      "\"floppies\"; known are B, kB, MB, GB, TB, KiB, MiB, GiB and TiB\n"
      "f.yaml:10:42: tasks[0].consumption.cpu: \"-1\" is negative; give a number from 0 on\n"
      "f.yaml:11:5: tasks[1]: \"nme\" is not a known key; did you mean \"name\"?\n"
      "f.yaml:11:5: tasks[1]: the task has no name\n"
      "f.yaml:12:14: tasks[1].command: the command is empty\n"
      "f.yaml:13:13: tasks[1].after: there is no task \"decod\"; did you mean \"decode\"?\n"
      "f.yaml:14:5: tasks[2]: \"just text\" stands where a task (a mapping with name and command) "
      "is expected\n"
      "f.yaml:15:11: tasks[3].name: \"decode\" names two tasks; the first is on line 8\n"
      "f.yaml:16:14: tasks[3].command: a mapping stands where a command (a list of program and "
      "arguments, or a line for the shell) is expected\n"
      "f.yaml:17:14: tasks[3].timeout: is 0; it must be longer\n"
      "f.yaml:18:19: tasks[3].max_attempts: \"0\" stands where a whole number from 1 to 1000 is "
      "expected\n");
}

TEST(GraphFileProblemsTest, RefusesQuantitiesThatAreNone) {
  for (const char* quantity :
       {"nan", ".inf", "-.inf", "inf", "-0.5", "lots", "[1]", "{a: 1}", "", "1e99"}) {
    EXPECT_NE(ProblemsOfTask(absl::StrCat("consumption: {gpu: ", quantity, "}")), "") << quantity;
  }
  EXPECT_EQ(
      ProblemsOfTask("consumption: {cpu: 1GB}"),
      "f.yaml:4:24: tasks[0].consumption.cpu: \"1GB\" has a unit of bytes; cpu is a number of "
      "cores\n");
  EXPECT_EQ(ProblemsOfTask("consumption: {2x: 1}"),
            "f.yaml:4:19: tasks[0].consumption: \"2x\" is not a resource's name: 1 to 64 letters, "
            "digits, '_', '-' or '.', starting with a letter\n");
  EXPECT_EQ(ProblemsOfTask("consumption: 3"),
            "f.yaml:4:18: tasks[0].consumption: \"3\" stands where a mapping is expected\n");
}

TEST(GraphFileProblemsTest, RefusesWrongTypesOfEachKey) {
  EXPECT_EQ(ProblemsOfTask("timeout: [1]"),
            "f.yaml:4:14: tasks[0].timeout: a list stands where a duration such as 30s or 1h30m is "
            "expected\n");
  EXPECT_EQ(
      ProblemsOfTask("max_attempts: 2.5"),
      "f.yaml:4:19: tasks[0].max_attempts: \"2.5\" stands where a whole number from 1 to 1000 is "
      "expected\n");
  EXPECT_EQ(ProblemsOfTask("priority: \"3\""),
            "f.yaml:4:15: tasks[0].priority: \"3\" stands where a whole number from -2147483648 to "
            "2147483647 is expected\n");
  EXPECT_EQ(
      ProblemsOfTask("after: {a: b}"),
      "f.yaml:4:12: tasks[0].after: a mapping stands where a task's name or a list of them is "
      "expected\n");
  EXPECT_EQ(ProblemsOfTask("after: [[b]]"),
            "f.yaml:4:13: tasks[0].after[0]: a list stands where a task's name is expected\n");
  EXPECT_EQ(ProblemsOfTask("environment: [A]"),
            "f.yaml:4:18: tasks[0].environment: a list stands where a mapping is expected\n");
  EXPECT_EQ(ProblemsOfTask("environment: {A: [1], KARTOGRAPH_X: 1, \"B=C\": 1}"),
            "f.yaml:4:22: tasks[0].environment.A: a list stands where a value is expected\n"
            "f.yaml:4:27: tasks[0].environment.KARTOGRAPH_X: names starting with KARTOGRAPH_ are "
            "reserved\n"
            "f.yaml:4:44: tasks[0].environment: \"B=C\" cannot name a variable\n");
  EXPECT_EQ(ProblemsOfTask("directory: [x]"),
            "f.yaml:4:16: tasks[0].directory: a list stands where a folder is expected\n");
  EXPECT_EQ(
      ProblemsOfTask("retry_delay: -1"),
      "f.yaml:4:18: tasks[0].retry_delay: \"-1\" is not a duration; give one such as 30s, 500ms, "
      "5m, 1h30m or 2d\n");
}

TEST(GraphFileProblemsTest, RefusesCommandsThatCannotRun) {
  const auto problems = [](absl::string_view command) {
    return ProblemsOf(absl::StrCat("tasks: [{name: a, command: ", command, "}]"));
  };
  EXPECT_EQ(problems("'  '"), "f.yaml:1:28: tasks[0].command: the command is empty\n");
  EXPECT_EQ(problems("['', a]"), "f.yaml:1:29: tasks[0].command[0]: the program's name is empty\n");
  EXPECT_EQ(problems("[a, ~]"),
            "f.yaml:1:32: tasks[0].command[1]: nothing stands where an argument is expected\n");
  EXPECT_EQ(
      problems("[a, \"x\\0y\"]"),
      "f.yaml:1:32: tasks[0].command[1]: has a NUL character, which no process can be given\n");
  EXPECT_EQ(problems(""),
            "f.yaml:1:19: tasks[0].command: nothing stands where a command (a list of program and "
            "arguments, or a line for the shell) is expected\n");
}

TEST(GraphFileProblemsTest, SaysWhatAFileWithoutTasksLacks) {
  EXPECT_EQ(ProblemsOf("name: x\n"), "f.yaml:1:1: there is no list of tasks (key \"tasks\")\n");
  EXPECT_EQ(ProblemsOf("tasks: []\n"), "f.yaml:1:8: tasks: the graph has no tasks\n");
  EXPECT_EQ(ProblemsOf("tasks:\n"),
            "f.yaml:1:1: tasks: nothing stands where a list of tasks is expected\n");
  EXPECT_EQ(ProblemsOf("tasks: {a: b}\n"),
            "f.yaml:1:8: tasks: a mapping stands where a list of tasks is expected\n");
  EXPECT_EQ(ProblemsOf("- a\n"),
            "f.yaml:1:1: a list stands where a graph (a mapping with tasks) is expected\n");
  EXPECT_EQ(ProblemsOf("just words\n"),
            "f.yaml:1:1: \"just words\" stands where a graph (a mapping with tasks) is expected\n");
}

TEST(GraphFileProblemsTest, SaysWhereAFileIsNoYaml) {
  EXPECT_EQ(ProblemsOf(""), "f.yaml: the file is empty; a graph has at least a list of tasks\n");
  EXPECT_EQ(ProblemsOf("# nothing\n"),
            "f.yaml: the file is empty; a graph has at least a list of tasks\n");
  EXPECT_EQ(ProblemsOf("tasks: [1, 2\nb: 3\n"),
            "f.yaml:2:2: this line is not YAML: did not find expected ',' or ']', while parsing a "
            "flow sequence from line 1\n");
  EXPECT_EQ(ProblemsOf("tasks: *nowhere\n"),
            "f.yaml:1:8: this line is not YAML: no anchor before this alias is named nowhere\n");
  EXPECT_EQ(ProblemsOf("a: 1\n---\nb: 2\n"),
            "f.yaml:3:1: a second document starts here; a file holds one graph\n");
}

TEST(GraphFileProblemsTest, ReportsKeysGivenTwice) {
  EXPECT_EQ(ProblemsOf("name: a\nname: b\ntasks: [{name: a, command: [x], command: [y]}]\n"),
            "f.yaml:2:1: name: is given twice; first on line 1\n"
            "f.yaml:3:33: tasks[0].command: is given twice; first on line 3\n");
}

TEST(GraphFileProblemsTest, ChecksAContainer) {
  EXPECT_EQ(ProblemsOf("tasks:\n"
                       "  - name: a\n"
                       "    command: [x]\n"
                       "    container:\n"
                       "      imag: alpine\n"
                       "      volumes:\n"
                       "        - {host_path: maps, container_path: /data}\n"
                       "        - {host_path: /maps}\n"),
            "f.yaml:5:7: tasks[0].container: \"imag\" is not a known key; did you mean \"image\"?\n"
            "f.yaml:7:11: tasks[0].container.volumes[0]: host_path must be an absolute path on the "
            "agent's host\n"
            "f.yaml:8:11: tasks[0].container.volumes[1]: a volume needs host_path and "
            "container_path\n");
}

TEST(GraphFileProblemsTest, SaysACycleAsAPathOfNames) {
  EXPECT_EQ(
      ProblemsOf("tasks:\n"
                 "  - {name: a, command: [x], after: [c]}\n"
                 "  - {name: b, command: [x], after: a}\n"
                 "  - {name: c, command: [x], after: [b]}\n"),
      "f.yaml:2:37: tasks[0].after: these tasks come after each other in a cycle: a -> b -> c -> "
      "a\n");
}

TEST(GraphFileProblemsTest, CountsWhatItDoesNotTell) {
  std::string text = "tasks:\n";
  for (int i = 0; i < 250; ++i) absl::StrAppend(&text, "  - {name: t", i, "}\n");
  const std::string problems = ProblemsOf(text);
  EXPECT_TRUE(problems.ends_with("f.yaml: and 150 more problems\n"));
}

}  // namespace
}  // namespace kartograph::cli
