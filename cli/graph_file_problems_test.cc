// The problems reported for invalid graph files, word for word.
#include <gtest/gtest.h>

#include <fstream>
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

TEST(GraphFileProblemsTest, SaysWhereJsonIsWrong) {
  EXPECT_EQ(ProblemsOf("{\"tasks\": [\n  {\"name\": \"a\", \"name\": \"b\", \"comand\": \"x\",\n"
                       "   \"consumption\": {\"cpu\": 12345678901234567890}}]}"),
            "f.yaml:2:3: tasks[0]: the task has no command\n"
            "f.yaml:2:17: tasks[0].name: duplicate key; first given on line 2\n"
            "f.yaml:2:30: tasks[0]: \"comand\" is not a known key; did you mean \"command\"?\n"
            "f.yaml:3:27: tasks[0].consumption.cpu: \"12345678901234567890\" is over 10^15; "
            "give a smaller number\n");
  EXPECT_EQ(ProblemsOf("{\"tasks\": [\n\"\x7F\"\n{\"name\": 1}]}"),
            "f.yaml:3:1: invalid JSON: unexpected '{'\n");
  EXPECT_EQ(
      ProblemsOf("{\"name\": \"\\ud83d\"}"),
      "f.yaml:1:17: invalid JSON: half of a surrogate pair; a character above U+FFFF takes two "
      "escapes, such as \\ud83d\\ude00\n");
  EXPECT_EQ(
      ProblemsOf("{name: a, tasks: [\n]"),
      "f.yaml:2:2: invalid YAML: did not find expected ',' or '}', while parsing a flow mapping "
      "from line 1\n");
}

TEST(GraphFileProblemsTest, SaysThatTextWithAColonNeedsQuotes) {
  EXPECT_EQ(
      ProblemsOf("tasks:\n  - name: a\n    command:\n      echo x: y\n"),
      "f.yaml:4:7: tasks[0].command: expected a command (a list of program and arguments, or a "
      "line for the shell), found a mapping; put text that has \": \" in it into quotes\n");
  EXPECT_EQ(
      ProblemsOf("tasks:\n  - name: a\n    command: [echo, x: y]\n"),
      "f.yaml:3:21: tasks[0].command[1]: expected an argument, found a mapping; put text that "
      "has \": \" in it into quotes\n");
  EXPECT_EQ(
      ProblemsOf("tasks:\n  - {name: a, command: echo x: y}\n"),
      "f.yaml:2:30: invalid YAML: did not find expected ',' or '}'; put text that has \": \" in "
      "it into quotes, while parsing a flow mapping\n");
}

TEST(GraphFileProblemsTest, KnowsTheWordsOfOthers) {
  EXPECT_EQ(ProblemsOf("max_attempts: 3\ntasks: [{id: a, command: x, depends: b}]\n"),
            "f.yaml:1:1: \"max_attempts\" is not a known key; did you mean \"defaults\" with "
            "\"max_attempts\" in it?\n"
            "f.yaml:2:9: tasks[0]: the task has no name\n"
            "f.yaml:2:10: tasks[0]: \"id\" is not a known key; did you mean \"name\"?\n"
            "f.yaml:2:29: tasks[0]: \"depends\" is not a known key; did you mean \"after\"?\n");
  EXPECT_EQ(ProblemsOf("tasks: [{name: a, command: x, time_limit: 5m, retry: 2, gpus: 1}]\n"),
            "f.yaml:1:31: tasks[0]: \"time_limit\" is not a known key; did you mean \"timeout\"?\n"
            "f.yaml:1:47: tasks[0]: \"retry\" is not a known key; did you mean \"max_attempts\" "
            "(one more than the retries)?\n"
            "f.yaml:1:57: tasks[0]: \"gpus\" is not a known key; did you mean \"consumption\" with "
            "\"gpu\" in it?\n");
  EXPECT_EQ(ProblemsOfTask("retry_on: [1, oom]"),
            "f.yaml:4:19: tasks[0].retry_on[1]: \"oom\" must be an exit status (1 to 255, such as "
            "75 or 64-78), a signal such as SIGKILL, or one of exit, signal, timeout, "
            "out_of_memory\n");
  EXPECT_EQ(ProblemsOfTask("consumption: {ram: 512Mi}"),
            "f.yaml:4:24: tasks[0].consumption.ram: \"512Mi\" has an unknown unit \"Mi\"; did you "
            "mean MiB?\n");
}

TEST(GraphFileProblemsTest, WarnsOfWhatOthersCallAResource) {
  FileProblems problems;
  EXPECT_TRUE(
      ParseGraphFile(
          "tasks: [{name: a, command: x, consumption: {cpus: 1, Mem: 1GiB, db: 1, cpu: 1}}]",
          GraphFileOptions(), &problems)
          .has_value());
  EXPECT_EQ(
      problems.WarningsToString("f"),
      "f:1:45: warning: tasks[0].consumption: \"cpus\" is read as the name of a pool; did you "
      "mean \"cpu\"?\n"
      "f:1:54: warning: tasks[0].consumption: \"Mem\" is read as the name of a pool; did you "
      "mean \"ram\"?\n");
}

TEST(GraphFileProblemsTest, TakesJsonByItsNameForNothingElse) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/graph.json");
  std::ofstream(path) << "{\"tasks\": [{\"name\": \"a\", \"command\": \"x\",}]}\n";
  FileProblems problems;
  EXPECT_FALSE(LoadGraphFile(path, std::nullopt, &problems).has_value());
  EXPECT_EQ(problems.ToString("graph.json"),
            "graph.json:1:41: invalid JSON: nothing follows the comma before this bracket\n");
  std::ofstream(path) << "tasks:\n  - {name: a, command: x}\n";
  FileProblems of_yaml;
  EXPECT_FALSE(LoadGraphFile(path, std::nullopt, &of_yaml).has_value());
  EXPECT_EQ(of_yaml.ToString("graph.json"),
            "graph.json:1:1: invalid JSON: unexpected 't'; a file named .json is read as JSON "
            "alone\n");
  std::ofstream(path) << "";
  FileProblems of_nothing;
  EXPECT_FALSE(LoadGraphFile(path, std::nullopt, &of_nothing).has_value());
  EXPECT_EQ(of_nothing.ToString("graph.json"),
            "graph.json: the file is empty; a graph needs at least a list of tasks\n");
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
      "f.yaml:1:7: name: \"bad name\" contains an invalid character; allowed are the "
      "letters A to Z and a to z, digits and _ . - / : + @ = , [ ]\n"
      "f.yaml:2:12: fail_fast: expected true or false, found \"yes\"\n"
      "f.yaml:3:1: \"priority\" is not a known key; did you mean \"defaults\" with \"priority\" in "
      "it?\n"
      "f.yaml:5:12: defaults.timeout: \"soon\" is not a valid duration; use one such as 30s, "
      "500ms, 5m, 1h30m or 2d\n"
      "f.yaml:6:3: defaults: \"command\" cannot have a default; give it in each task\n"
      "f.yaml:9:14: tasks[0].command: the command is empty\n"
      "f.yaml:10:24: tasks[0].consumption.ram: \"12 floppies\" has an unknown unit \"floppies\"; "
      "known units are B, kB, MB, GB, TB, KiB, MiB, GiB and TiB\n"
      "f.yaml:10:42: tasks[0].consumption.cpu: \"-1\" is negative; give a number from 0 on\n"
      "f.yaml:11:5: tasks[1]: \"nme\" is not a known key; did you mean \"name\"?\n"
      "f.yaml:11:5: tasks[1]: the task has no name\n"
      "f.yaml:12:14: tasks[1].command: the command is empty\n"
      "f.yaml:13:13: tasks[1].after: unknown task \"decod\"; did you mean \"decode\"?\n"
      "f.yaml:14:5: tasks[2]: expected a task (a mapping with name and command), found \"just "
      "text\"\n"
      "f.yaml:15:11: tasks[3].name: duplicate task name \"decode\"; first used on line 8\n"
      "f.yaml:16:14: tasks[3].command: expected a command (a list of program and arguments, or a "
      "line for the shell), found a mapping\n"
      "f.yaml:17:14: tasks[3].timeout: must be longer than 0\n"
      "f.yaml:18:19: tasks[3].max_attempts: expected a whole number from 1 to 1000, found \"0\"\n");
}

TEST(GraphFileProblemsTest, KnowsWhatOthersCallTheSame) {
  EXPECT_EQ(
      ProblemsOf(R"(jobs: []
tasks:
  - name: a
    cmd: [x]
    command: [x]
    needs: [b]
    memory: 4G
    retries: 3
    frobnicate: 1
  - name: b c
    command: [x]
    after: a, b
    frobnicate: 2
)"),
      "f.yaml:1:1: \"jobs\" is not a known key; did you mean \"tasks\"?\n"
      "f.yaml:4:5: tasks[0]: \"cmd\" is not a known key; did you mean \"command\"?\n"
      "f.yaml:6:5: tasks[0]: \"needs\" is not a known key; did you mean \"after\"?\n"
      "f.yaml:7:5: tasks[0]: \"memory\" is not a known key; did you mean \"consumption\" with "
      "\"ram\" in it?\n"
      "f.yaml:8:5: tasks[0]: \"retries\" is not a known key; did you mean \"max_attempts\" "
      "(one more than the retries)?\n"
      "f.yaml:9:5: tasks[0]: \"frobnicate\" is not a known key; known keys are name, command, "
      "after, consumption, environment, directory, timeout, max_attempts, retry_delay, "
      "max_retry_delay, cancel_grace, priority, unreachable_timeout, max_losses, container, shell, "
      "retry_on, no_retry_on, labels, expected_duration, constraints, avoid_last_failure, "
      "preemptible, spread, "
      "title\n"
      "f.yaml:10:11: tasks[1].name: \"b c\" contains an invalid character; allowed are the "
      "letters A to Z and a to z, digits and _ . - / : + @ = , [ ]\n"
      "f.yaml:12:12: tasks[1].after: unknown task \"a, b\"; several tasks are a list: [a, b]\n"
      "f.yaml:13:5: tasks[1]: \"frobnicate\" is not a known key\n");
}

TEST(GraphFileProblemsTest, ReportsConstraintsThatCannotBe) {
  const auto says = [](absl::string_view line, absl::string_view what) {
    const std::string problems = ProblemsOfTask(line);
    EXPECT_NE(problems.find(std::string(what)), std::string::npos) << line << " is said to be:\n"
                                                                   << problems;
  };
  says("constraints: {attribute: rack, equals: b3}", "[{attribute: disk, equals: ssd}]");
  says("constraints: [{attribute: rack}]", "needs exactly one of");
  says("constraints: [{equals: b3}]", "the constraint has no attribute");
  says("constraints: [{attribute: rack, equals: b3, matches: b}]", "needs exactly one of");
  says("constraints: [{attribute: rack, matches: \"b[0-9\"}]", "is not a regular expression");
  says("constraints: [{attribute: rack, one_of: []}]", "a list of 1 to 64 values");
  says("constraints: [{attribute: rack, equals: b3, not: true}]", "\"not\" is not a known key");
}

TEST(GraphFileProblemsTest, WarnsOfLikelyMistakes) {
  const auto warnings = [](const std::string& text) {
    FileProblems problems;
    EXPECT_TRUE(ParseGraphFile(text, {}, &problems).has_value()) << problems.ToString("f.yaml");
    return problems.WarningsToString("f.yaml");
  };
  EXPECT_EQ(
      warnings(R"(tasks:
  - name: a
    command: ./load.sh --all
    environment: {PATH: "/opt/x:$PATH"}
    consumption: {ram: 8}
  - name: b
    command: |
      first
      second
    directory: ~/data
  - {name: c, command: x, directory: $HOME/x, environment: {D: ~/x}}
  - {name: d, command: [echo, $HOME]}
  - {name: e, command: "false\necho on", shell: [bash, -c]}
  - {name: f, command: "cd src && ./x.sh", container: {image: "alpine:3"}}
  - {name: g, command: x, directory: $(pwd), environment: {D: $(date)}}
)"),
      "f.yaml:3:14: warning: tasks[0].command: \"./load.sh\" is looked for in the attempt's own, "
      "empty folder; give its full path, or a `directory`\n"
      "f.yaml:4:25: warning: tasks[0].environment.PATH: \"/opt/x:$PATH\" is passed on unchanged; "
      "variables are expanded in shell commands only\n"
      "f.yaml:5:24: warning: tasks[0].consumption.ram: \"8\" is a number of bytes; did you mean "
      "\"8GiB\"?\n"
      "f.yaml:7:14: warning: tasks[1].command: the shell goes on after a line that fails; begin "
      "with \"set -e\" to stop there, or give `shell: [bash, -euo, pipefail, -c]`\n"
      "f.yaml:10:16: warning: tasks[1].directory: \"~\" is not expanded; give the full path of "
      "the home directory\n"
      "f.yaml:11:38: warning: tasks[2].directory: \"$HOME/x\" is taken as it is; variables are "
      "expanded in shell commands only\n"
      "f.yaml:11:64: warning: tasks[2].environment.D: \"~/x\" is passed on unchanged; \"~\" is "
      "expanded in shell commands only\n"
      "f.yaml:12:24: warning: tasks[3].command: \"$HOME\" is passed on unchanged; variables are "
      "expanded in shell commands only\n"
      "f.yaml:13:24: warning: tasks[4].command: the shell goes on after a line that fails; begin "
      "with \"set -e\" to stop there, or give `shell: [bash, -euo, pipefail, -c]`\n"
      "f.yaml:15:38: warning: tasks[6].directory: \"$(pwd)\" is taken as it is; nothing is run for "
      "it outside of shell commands\n"
      "f.yaml:15:63: warning: tasks[6].environment.D: \"$(date)\" is passed on unchanged; "
      "nothing is run for it outside of shell commands\n");
  EXPECT_EQ(warnings(R"(tasks:
  - name: a
    command: [./load.sh]
    directory: /data
    environment: {PRICE: "5 $", SHARE: "$"}
  - name: b
    command: |
      set -e
      first
      second
  - name: c
    command: |
      # What it is for.
      first --with \
        arguments &&
      second |
        third
    consumption: {ram: 8GiB}
)"),
            "");
}

TEST(GraphFileProblemsTest, RefusesQuantitiesThatAreNone) {
  for (const char* quantity :
       {"nan", ".inf", "-.inf", "inf", "-0.5", "lots", "[1]", "{a: 1}", "", "1e99"}) {
    EXPECT_NE(ProblemsOfTask(absl::StrCat("consumption: {gpu: ", quantity, "}")), "") << quantity;
  }
  EXPECT_EQ(ProblemsOfTask("consumption: {cpu: 1GB}"),
            "f.yaml:4:24: tasks[0].consumption.cpu: \"1GB\" has a unit of bytes; cpu is a number "
            "of cores\n");
  EXPECT_EQ(ProblemsOfTask("consumption: {2x: 1}"),
            "f.yaml:4:19: tasks[0].consumption: \"2x\" is not a valid resource name; use 1 to 64 "
            "letters, digits, '_', '-' or '.', starting with a letter\n");
  EXPECT_EQ(ProblemsOfTask("consumption: 3"),
            "f.yaml:4:18: tasks[0].consumption: expected a mapping, found \"3\"\n");
}

TEST(GraphFileProblemsTest, RefusesWrongTypesOfEachKey) {
  EXPECT_EQ(
      ProblemsOfTask("timeout: [1]"),
      "f.yaml:4:14: tasks[0].timeout: expected a duration such as 30s or 1h30m, found a list\n");
  EXPECT_EQ(ProblemsOfTask("max_attempts: 2.5"),
            "f.yaml:4:19: tasks[0].max_attempts: expected a whole number from 1 to 1000, found "
            "\"2.5\"\n");
  EXPECT_EQ(ProblemsOfTask("priority: \"3\""),
            "f.yaml:4:15: tasks[0].priority: expected a whole number from -2147483648 to "
            "2147483647, found \"3\"\n");
  EXPECT_EQ(
      ProblemsOfTask("after: {a: b}"),
      "f.yaml:4:12: tasks[0].after: expected a task's name or a list of them, found a mapping\n");
  EXPECT_EQ(ProblemsOfTask("after: [[b]]"),
            "f.yaml:4:13: tasks[0].after[0]: expected a task's name, found a list\n");
  EXPECT_EQ(ProblemsOfTask("environment: [A]"),
            "f.yaml:4:18: tasks[0].environment: expected a mapping, found a list\n");
  EXPECT_EQ(ProblemsOfTask("environment: {A: [1], KARTOGRAPH_X: 1, \"B=C\": 1}"),
            "f.yaml:4:22: tasks[0].environment.A: expected a value, found a list\n"
            "f.yaml:4:27: tasks[0].environment.KARTOGRAPH_X: names starting with KARTOGRAPH_ are "
            "reserved\n"
            "f.yaml:4:44: tasks[0].environment: \"B=C\" is not a valid variable name\n");
  EXPECT_EQ(ProblemsOfTask("directory: [x]"),
            "f.yaml:4:16: tasks[0].directory: expected a folder, found a list\n");
  EXPECT_EQ(
      ProblemsOfTask("shell: bash -c"),
      "f.yaml:4:12: tasks[0].shell: expected a list such as [bash, -euo, pipefail, -c], found "
      "\"bash -c\"\n");
  EXPECT_EQ(ProblemsOfTask("shell: ['', {a: b}]"),
            "f.yaml:4:13: tasks[0].shell: the program's name is empty\n"
            "f.yaml:4:17: tasks[0].shell[1]: expected an argument, found a mapping\n");
  EXPECT_EQ(ProblemsOfTask("retry_delay: -1"),
            "f.yaml:4:18: tasks[0].retry_delay: \"-1\" is not a valid duration; use one such as "
            "30s, 500ms, 5m, 1h30m or 2d\n");
}

TEST(GraphFileProblemsTest, RefusesCommandsThatCannotRun) {
  const auto problems = [](absl::string_view command) {
    return ProblemsOf(absl::StrCat("tasks: [{name: a, command: ", command, "}]"));
  };
  EXPECT_EQ(problems("'  '"), "f.yaml:1:28: tasks[0].command: the command is empty\n");
  EXPECT_EQ(problems("['', a]"), "f.yaml:1:29: tasks[0].command[0]: the program's name is empty\n");
  EXPECT_EQ(problems("[a, ~]"),
            "f.yaml:1:32: tasks[0].command[1]: expected an argument, found nothing\n");
  EXPECT_EQ(problems("[a, \"x\\0y\"]"),
            "f.yaml:1:32: tasks[0].command[1]: contains a NUL character\n");
  EXPECT_EQ(problems(""),
            "f.yaml:1:19: tasks[0].command: expected a command (a list of program and arguments, "
            "or a line for the shell), found nothing\n");
}

TEST(GraphFileProblemsTest, SaysWhatAFileWithoutTasksLacks) {
  EXPECT_EQ(ProblemsOf("name: x\n"), "f.yaml:1:1: the list of tasks is missing (key \"tasks\")\n");
  EXPECT_EQ(ProblemsOf("tasks: []\n"), "f.yaml:1:8: tasks: the graph has no tasks\n");
  EXPECT_EQ(ProblemsOf("tasks:\n"), "f.yaml:1:1: tasks: expected a list of tasks, found nothing\n");
  EXPECT_EQ(
      ProblemsOf("tasks: {a: b}\n"),
      "f.yaml:1:8: tasks: expected a list of tasks, found a mapping; write each as an item of a "
      "list, with its name in it: - name: a\n");
  EXPECT_EQ(ProblemsOf("- a\n"),
            "f.yaml:1:1: expected a graph (a mapping with tasks), found a list\n");
  EXPECT_EQ(ProblemsOf("just words\n"),
            "f.yaml:1:1: expected a graph (a mapping with tasks), found \"just words\"\n");
}

TEST(GraphFileProblemsTest, SaysWhereAFileIsNoYaml) {
  EXPECT_EQ(ProblemsOf(""), "f.yaml: the file is empty; a graph needs at least a list of tasks\n");
  EXPECT_EQ(ProblemsOf("# nothing\n"),
            "f.yaml: the file is empty; a graph needs at least a list of tasks\n");
  EXPECT_EQ(ProblemsOf("tasks: [1, 2\nb: 3\n"),
            "f.yaml:2:2: invalid YAML: did not find expected ',' or ']', while parsing a flow "
            "sequence from line 1\n");
  EXPECT_EQ(ProblemsOf("tasks: *nowhere\n"),
            "f.yaml:1:8: invalid YAML: no anchor before this alias is named nowhere\n");
  EXPECT_EQ(ProblemsOf("a: 1\n---\nb: 2\n"),
            "f.yaml:3:1: a second document starts here; a file holds one graph\n");
}

TEST(GraphFileProblemsTest, ReportsKeysGivenTwice) {
  EXPECT_EQ(ProblemsOf("name: a\nname: b\ntasks: [{name: a, command: [x], command: [y]}]\n"),
            "f.yaml:2:1: name: duplicate key; first given on line 1\n"
            "f.yaml:3:33: tasks[0].command: duplicate key; first given on line 3\n");
}

TEST(GraphFileProblemsTest, ChecksAContainer) {
  EXPECT_EQ(
      ProblemsOf("tasks:\n"
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
      "f.yaml:8:11: tasks[0].container.volumes[1]: a volume needs host_path and container_path\n");
}

TEST(GraphFileProblemsTest, SaysACycleAsAPathOfNames) {
  EXPECT_EQ(ProblemsOf("tasks:\n"
                       "  - {name: a, command: [x], after: [c]}\n"
                       "  - {name: b, command: [x], after: a}\n"
                       "  - {name: c, command: [x], after: [b]}\n"),
            "f.yaml:2:37: tasks[0].after: dependency cycle: a -> b -> c -> a\n");
}

TEST(GraphFileProblemsTest, CountsWhatItDoesNotTell) {
  const auto problems = [](int tasks) {
    std::string text = "tasks:\n";
    for (int i = 0; i < tasks; ++i) absl::StrAppend(&text, "  - {name: t", i, "}\n");
    return ProblemsOf(text);
  };
  EXPECT_TRUE(problems(250).ends_with("f.yaml: and 150 more problems\n"));
  EXPECT_TRUE(problems(101).ends_with("f.yaml: and 1 more problem\n"));
}

}  // namespace
}  // namespace kartograph::cli
