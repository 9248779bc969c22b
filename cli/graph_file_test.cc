#include "cli/graph_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::cli {
namespace {

struct ParsedFile {
  v1::GraphSpec spec;
  std::vector<v1::TaskSpec> tasks;
  int64_t edges = 0;
};

GraphFile ParseFile(const std::string& text) {
  FileProblems problems;
  GraphFileOptions options;
  options.default_name = "from_the_path";
  options.folder = "/data/maps";
  std::optional<GraphFile> file = ParseGraphFile(text, options, &problems);
  EXPECT_TRUE(file.has_value()) << problems.ToString("f");
  return file.has_value() ? *std::move(file) : GraphFile();
}

std::vector<v1::TaskSpec> TasksOf(const GraphFile& file) {
  std::vector<v1::TaskSpec> tasks;
  v1::TaskSpec spec;  // one for all: what is left of a task must not show in the next
  for (size_t i = 0; i < file.tasks->size(); ++i) {
    file.tasks->Read(i, &spec);
    tasks.push_back(spec);
  }
  return tasks;
}

ParsedFile Parse(const std::string& text) {
  const GraphFile file = ParseFile(text);
  if (file.tasks == nullptr) return {};
  return {file.spec, TasksOf(file), file.edges};
}

TEST(GraphFileTest, ReadsConstraints) {
  const ParsedFile file = Parse(R"(
defaults:
  avoid_last_failure: true
  constraints: [{attribute: disk, equals: ssd}]
tasks:
  - {name: a, command: x}
  - name: b
    command: x
    avoid_last_failure: false
    constraints:
      - {attribute: rack, one_of: [b3, 4]}
      - {attribute: agent.name, matches: "node-[0-9]+", negated: true}
  - {name: c, command: x, constraints: []}
)");
  ASSERT_EQ(file.tasks.size(), 3u);
  EXPECT_TRUE(file.tasks[0].avoid_last_failure());
  ASSERT_EQ(file.tasks[0].constraints_size(), 1);
  EXPECT_EQ(file.tasks[0].constraints(0).attribute(), "disk");
  EXPECT_EQ(file.tasks[0].constraints(0).equals(), "ssd");
  EXPECT_FALSE(file.tasks[0].constraints(0).negated());
  EXPECT_FALSE(file.tasks[1].avoid_last_failure());
  ASSERT_EQ(file.tasks[1].constraints_size(), 2);
  ASSERT_EQ(file.tasks[1].constraints(0).one_of_size(), 2);
  EXPECT_EQ(file.tasks[1].constraints(0).one_of(1), "4");
  EXPECT_EQ(file.tasks[1].constraints(1).matches(), "node-[0-9]+");
  EXPECT_TRUE(file.tasks[1].constraints(1).negated());
  EXPECT_EQ(file.tasks[2].constraints_size(), 0) << "they replace the defaults";
}

TEST(GraphFileTest, ReadsEveryKey) {
  const ParsedFile file = Parse(R"(
name: map_release
title: Weekly 地図
labels: {kind: release, week: 48, final: }
queue: maps
fail_fast: true
defaults: {labels: {layer: roads, step: any}}
tasks:
  - name: decode
    title: Décoder
    labels: {step: first}
    command: [python3, decode.py, 1, true]
    consumption: {cpu: 2, ram: 512MiB, db_connections: 1}
    environment: {LANG: C, N: 5, EMPTY: }
    directory: /work
    timeout: 30s
    max_attempts: 3
    retry_delay: 100ms
    max_retry_delay: 1m
    cancel_grace: 0
    unreachable_timeout: 15m
    expected_duration: 5m
    max_losses: 2
    container:
      image: "alpine:3"
      volumes:
        - {host_path: /maps, container_path: /data, read_only: true}
        - {host_path: /tmp/out, container_path: out}
    priority: -5
  - name: load
    command: |
      set -e
      echo done
    after: decode
  - {name: draw, command: "true", after: [decode, load]}
)");
  EXPECT_EQ(file.spec.name(), "map_release");
  EXPECT_EQ(file.spec.client_queue(), "maps");
  EXPECT_TRUE(file.spec.fail_fast());
  EXPECT_FALSE(file.spec.open());
  EXPECT_EQ(file.spec.title(), "Weekly 地図");
  EXPECT_EQ(file.spec.labels().at("week"), "48");
  EXPECT_EQ(file.spec.labels().at("final"), "");
  EXPECT_EQ(file.edges, 3);
  ASSERT_EQ(file.tasks.size(), 3u);
  const v1::TaskSpec& decode = file.tasks[0];
  EXPECT_EQ(decode.title(), "Décoder");
  EXPECT_EQ(decode.labels().size(), 2u);
  EXPECT_EQ(decode.labels().at("layer"), "roads");
  EXPECT_EQ(decode.labels().at("step"), "first");
  EXPECT_EQ(file.tasks[1].labels().at("step"), "any");
  EXPECT_EQ(decode.name(), "decode");
  ASSERT_EQ(decode.command().arguments_size(), 4);
  EXPECT_EQ(decode.command().arguments(2), "1");
  EXPECT_EQ(decode.command().arguments(3), "true");
  EXPECT_EQ(decode.command().shell(), "");
  EXPECT_EQ(decode.consumption().at("cpu"), 2);
  EXPECT_EQ(decode.consumption().at("ram"), 536870912);
  EXPECT_EQ(decode.consumption().at("db_connections"), 1);
  EXPECT_EQ(decode.command().environment().at("LANG"), "C");
  EXPECT_EQ(decode.command().environment().at("N"), "5");
  EXPECT_EQ(decode.command().environment().at("EMPTY"), "");
  EXPECT_EQ(decode.command().directory(), "/work");
  EXPECT_EQ(decode.timeout().seconds(), 30);
  EXPECT_EQ(decode.max_attempts(), 3);
  EXPECT_EQ(decode.retry_delay().nanos(), 100000000);
  EXPECT_EQ(decode.max_retry_delay().seconds(), 60);
  EXPECT_TRUE(decode.has_cancel_grace());
  EXPECT_EQ(decode.cancel_grace().seconds(), 0);
  EXPECT_EQ(decode.priority(), -5);
  EXPECT_EQ(decode.unreachable_timeout().seconds(), 900);
  EXPECT_EQ(decode.expected_duration().seconds(), 300);
  EXPECT_EQ(decode.max_losses(), 2);
  EXPECT_EQ(decode.container().image(), "alpine:3");
  ASSERT_EQ(decode.container().volumes_size(), 2);
  EXPECT_EQ(decode.container().volumes(0).host_path(), "/maps");
  EXPECT_EQ(decode.container().volumes(0).container_path(), "/data");
  EXPECT_TRUE(decode.container().volumes(0).read_only());
  EXPECT_FALSE(decode.container().volumes(1).read_only());
  EXPECT_EQ(file.tasks[1].command().shell(), "set -e\necho done\n");
  EXPECT_EQ(file.tasks[1].command().arguments_size(), 0);
  ASSERT_EQ(file.tasks[1].after_size(), 1);
  EXPECT_EQ(file.tasks[1].after(0), "decode");
  EXPECT_EQ(file.tasks[2].after_size(), 2);
}

TEST(GraphFileTest, LeavesWhatIsNotGivenToTheService) {
  const ParsedFile file = Parse("tasks: [{name: a, command: [x]}]\n");
  EXPECT_EQ(file.spec.name(), "from_the_path");
  EXPECT_EQ(file.spec.client_queue(), "");
  EXPECT_FALSE(file.spec.fail_fast());
  const v1::TaskSpec& task = file.tasks[0];
  EXPECT_FALSE(task.has_timeout() || task.has_retry_delay() || task.has_max_retry_delay() ||
               task.has_cancel_grace() || task.has_unreachable_timeout() || task.has_container() ||
               task.has_expected_duration());
  EXPECT_EQ(task.max_attempts(), 0);
  EXPECT_EQ(task.max_losses(), 0);
  EXPECT_EQ(task.consumption_size(), 0);
  EXPECT_EQ(task.command().directory(), "");
}

TEST(GraphFileTest, ATasksContainerReplacesTheDefaultOneAndMayBeEmpty) {
  const ParsedFile file = Parse(R"(
defaults:
  container: {image: "alpine:3", volumes: [{host_path: /a, container_path: /a}]}
tasks:
  - {name: a, command: [x]}
  - {name: b, command: [x], container: {image: "debian:12"}}
  - {name: c, command: [x], container: {}}
)");
  EXPECT_EQ(file.tasks[0].container().image(), "alpine:3");
  EXPECT_EQ(file.tasks[0].container().volumes_size(), 1);
  EXPECT_EQ(file.tasks[1].container().image(), "debian:12");
  EXPECT_EQ(file.tasks[1].container().volumes_size(), 0);
  EXPECT_TRUE(file.tasks[2].has_container());
  EXPECT_EQ(file.tasks[2].container().image(), "");
}

TEST(GraphFileTest, MergesATasksOwnValuesOverTheDefaults) {
  const ParsedFile file = Parse(R"(
tasks:
  - {name: a, command: [x]}
  - name: b
    command: [x]
    consumption: {ram: 1GiB, db_connections: 2}
    environment: {B: own, C: more}
    max_attempts: 1
    directory: ""
defaults:
  consumption: {cpu: 1, ram: 256MiB}
  environment: {A: all, B: all}
  max_attempts: 3
  timeout: 10m
  priority: 7
  directory: scripts
)");
  const v1::TaskSpec& a = file.tasks[0];
  EXPECT_EQ(a.consumption().at("ram"), 268435456);
  EXPECT_EQ(a.max_attempts(), 3);
  EXPECT_EQ(a.timeout().seconds(), 600);
  EXPECT_EQ(a.priority(), 7);
  EXPECT_EQ(a.command().directory(), "/data/maps/scripts");
  EXPECT_EQ(a.command().environment().size(), 2u);
  const v1::TaskSpec& b = file.tasks[1];
  EXPECT_EQ(b.consumption().at("cpu"), 1);
  EXPECT_EQ(b.consumption().at("ram"), 1073741824);
  EXPECT_EQ(b.consumption().at("db_connections"), 2);
  EXPECT_EQ(b.command().environment().at("A"), "all");
  EXPECT_EQ(b.command().environment().at("B"), "own");
  EXPECT_EQ(b.command().environment().at("C"), "more");
  EXPECT_EQ(b.max_attempts(), 1);
  EXPECT_EQ(b.command().directory(), "");
}

TEST(GraphFileTest, TakesRelativeFoldersFromTheFilesOwn) {
  const auto directory = [](const char* text) {
    return Parse(absl::StrCat("tasks: [{name: a, command: [x], directory: ", text, "}]"))
        .tasks[0]
        .command()
        .directory();
  };
  EXPECT_EQ(directory("."), "/data/maps");
  EXPECT_EQ(directory("./a/"), "/data/maps/a");
  EXPECT_EQ(directory("../b"), "/data/b");
  EXPECT_EQ(directory("/abs"), "/abs");
}

TEST(GraphFileTest, UnderstandsAnchorsMergesAndPlacesForThem) {
  const ParsedFile file = Parse(R"(
x-small: &small {timeout: 5s, consumption: {ram: 1MiB}}
tasks:
  - {<<: *small, name: a, command: [x]}
  - {<<: *small, name: b, command: [x], timeout: 9s, after: &deps [a]}
  - {name: c, command: [x], after: *deps}
)");
  EXPECT_EQ(file.tasks[0].timeout().seconds(), 5);
  EXPECT_EQ(file.tasks[1].timeout().seconds(), 9);
  EXPECT_EQ(file.tasks[1].consumption().at("ram"), 1048576);
  EXPECT_EQ(file.tasks[2].after(0), "a");
}

TEST(GraphFileTest, ReadsJson) {
  const ParsedFile file = Parse(
      R"({"name": "j", "tasks": [
          {"name": "a", "command": ["echo", "\u00e9\ud83d\ude00"], "after": []},
          {"name": "b", "command": "true", "after": ["a"], "timeout": 1.5, "priority": 2}]})");
  EXPECT_EQ(file.spec.name(), "j");
  EXPECT_EQ(file.tasks[0].command().arguments(1), "\xC3\xA9\xF0\x9F\x98\x80");
  EXPECT_EQ(file.tasks[1].timeout().nanos(), 500000000);
  EXPECT_EQ(file.tasks[1].priority(), 2);
}

TEST(GraphFileTest, ReadsJsonThatIsNotYaml) {
  const std::string text = "\x7F \xC2\x80 \xC2\x85\xC2\x9F  \xE2\x80\xA8  end";
  const std::string variable(2000, 'v');
  const ParsedFile file =
      Parse(absl::StrCat(R"({"tasks": [{"name": "a", "command": ["echo", ")", text,
                         R"("], "environment": {")", variable, R"(": ")", text, R"("}}]})"));
  EXPECT_EQ(file.tasks[0].command().arguments(1), text);
  EXPECT_EQ(file.tasks[0].command().environment().at(variable), text);
}

TEST(GraphFileTest, KeepsQuantitiesOfJsonExact) {
  const ParsedFile file = Parse(
      R"({"tasks": [{"name": "a", "command": ["x"],
                     "consumption": {"cpu": 0.1, "ram": 999999999999999, "pool": 123456789012.345}}]})");
  EXPECT_EQ(file.tasks[0].consumption().at("cpu"), 0.1);
  EXPECT_EQ(file.tasks[0].consumption().at("ram"), 999999999999999);
  EXPECT_EQ(file.tasks[0].consumption().at("pool"), 123456789012.345);
}

TEST(GraphFileTest, TakesAKeyWithoutValueAsNotGiven) {
  const ParsedFile file = Parse(
      "queue:\nfail_fast:\ndefaults:\ntasks: [{name: a, command: [x], after: , timeout: ~, "
      "consumption: null}]\n");
  EXPECT_EQ(file.tasks.size(), 1u);
  EXPECT_FALSE(file.tasks[0].has_timeout());
}

TEST(GraphFileTest, LoadsAFileAndNamesTheGraphAfterIt) {
  const std::string folder = ::testing::TempDir();
  const std::string path = absl::StrCat(folder, "/my release.yaml");
  std::ofstream(path) << "tasks: [{name: a, command: [x], directory: sub}]\n";
  FileProblems problems;
  const auto file = LoadGraphFile(path, std::nullopt, &problems);
  ASSERT_TRUE(file.has_value()) << problems.ToString(path);
  EXPECT_EQ(file->spec.name(), "my_release");
  const std::string directory = TasksOf(*file)[0].command().directory();
  EXPECT_EQ(directory.front(), '/');
  EXPECT_TRUE(directory.ends_with("/sub"));
}

TEST(GraphFileTest, ReadsEachTaskAsOftenAsAsked) {
  const GraphFile file = ParseFile(
      "defaults: {priority: 3}\ntasks:\n  - {name: a, command: [x, y], timeout: 5s}\n"
      "  - {name: b, command: z, after: a}\n");
  ASSERT_EQ(file.tasks->size(), 2u);
  v1::TaskSpec spec;
  for (int round = 0; round < 2; ++round) {
    file.tasks->Read(0, &spec);
    EXPECT_EQ(spec.command().arguments_size(), 2);
    file.tasks->Read(1, &spec);
    EXPECT_EQ(spec.name(), "b");
    EXPECT_EQ(spec.command().shell(), "z");
    EXPECT_EQ(spec.command().arguments_size(), 0);
    EXPECT_FALSE(spec.has_timeout());
    EXPECT_EQ(spec.after_size(), 1);
    EXPECT_EQ(spec.priority(), 3);
  }
  EXPECT_EQ(file.tasks->name(1), "b");
  EXPECT_EQ(file.tasks->Find(1, {}).mark, (Mark{4, 12}));
}

TEST(GraphFileTest, ReadsAFileLargerThanOneRead) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/large.yaml");
  std::string text = "tasks:\n";
  for (int i = 0; i < 30000; ++i) {
    absl::StrAppend(&text, "- {name: t", i, ", command: [/bin/true, \"an argument\"]}\n");
  }
  ASSERT_GT(text.size(), size_t{1} << 20);
  std::ofstream(path) << text;
  FileProblems problems;
  const auto file = LoadGraphFile(path, std::nullopt, &problems);
  ASSERT_TRUE(file.has_value()) << problems.ToString(path);
  ASSERT_EQ(file->tasks->size(), 30000u);
  EXPECT_EQ(file->tasks->name(29999), "t29999");
  EXPECT_EQ(file->tasks->Find(29999, {}).mark, (Mark{30001, 10}));
}

TEST(GraphFileTest, SaysWhyAFileCannotBeRead) {
  FileProblems missing;
  EXPECT_FALSE(LoadGraphFile("/nowhere/x.yaml", 1.0, &missing).has_value());
  EXPECT_EQ(missing.ToString("x"), "x: cannot be opened: No such file or directory\n");
  FileProblems folder;
  EXPECT_FALSE(LoadGraphFile("/", 1.0, &folder).has_value());
  EXPECT_EQ(folder.ToString("x"), "x: is a directory; expected a graph file\n");
}

TEST(GraphFileTest, AShellRunsTheCommandsThatAreText) {
  const std::vector<v1::TaskSpec> tasks = TasksOf(ParseFile(R"(
defaults:
  shell: [bash, -euo, pipefail, -c]
tasks:
  - {name: a, command: "x | y"}
  - {name: b, command: [x, y]}
  - {name: c, command: "x", shell: [python3, -c]}
  - {name: d, command: "x", shell: }
  - {name: e, command: "x", shell: [/bin/sh, -c]}
)"));
  const auto arguments = [&](int task) {
    const auto& words = tasks[task].command().arguments();
    return std::vector<std::string>(words.begin(), words.end());
  };
  EXPECT_EQ(arguments(0), (std::vector<std::string>{"bash", "-euo", "pipefail", "-c", "x | y"}));
  EXPECT_EQ(tasks[0].command().shell(), "");
  EXPECT_EQ(arguments(1), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(arguments(2), (std::vector<std::string>{"python3", "-c", "x"}));
  EXPECT_EQ(arguments(3), (std::vector<std::string>{"bash", "-euo", "pipefail", "-c", "x"}));
  EXPECT_EQ(arguments(4), (std::vector<std::string>{"/bin/sh", "-c", "x"}));
}

}  // namespace
}  // namespace kartograph::cli
