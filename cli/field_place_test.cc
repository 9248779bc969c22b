#include "cli/field_place.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "cli/graph_file.h"

namespace kartograph::cli {
namespace {

GraphFile Parse(const std::string& text) {
  FileProblems problems;
  auto file = ParseGraphFile(text, GraphFileOptions(), &problems);
  EXPECT_TRUE(file.has_value()) << problems.ToString("f");
  return file.has_value() ? std::move(*file) : GraphFile();
}

// As LINE:COLUMN: FIELD.
std::string Find(const GraphFile& file, absl::string_view field) {
  const auto steps = ParseField(field);
  const auto place = steps ? FindField(file, *steps) : std::nullopt;
  if (!place.has_value()) return "none";
  return absl::StrCat(place->mark.line, ":", place->mark.column, ": ", place->field);
}

TEST(FieldPlaceTest, FindsWhatTheServiceNames) {
  const GraphFile file = Parse(R"(defaults: {consumption: {cpu: 2}}
x-more: &more
  timeout: 5s
tasks:
  - name: a[1]
    command: [x, y]
    directory: /tmp
    environment: {"A.B": c}
    consumption:
      db: 1
      ram: 1GiB
    <<: *more
  - {name: b, command: x | y}
)");
  EXPECT_EQ(Find(file, "tasks[\"a[1]\"].consumption[\"ram\"]"), "11:12: tasks[0].consumption.ram");
  EXPECT_EQ(Find(file, "tasks[\"a[1]\"].consumption"), "10:7: tasks[0].consumption");
  EXPECT_EQ(Find(file, "tasks[0].consumption[\"db\"]"), "10:11: tasks[0].consumption.db");
  EXPECT_EQ(Find(file, "tasks[0].command.arguments[1]"), "6:18: tasks[0].command[1]");
  EXPECT_EQ(Find(file, "tasks[0].command.directory"), "7:16: tasks[0].directory");
  EXPECT_EQ(Find(file, "tasks[0].command.environment[\"A.B\"]"), "8:26: tasks[0].environment.A.B");
  EXPECT_EQ(Find(file, "tasks[0].timeout"), "3:12: tasks[0].timeout");
  EXPECT_EQ(Find(file, "tasks[\"b\"].command.shell"), "13:24: tasks[1].command");
  EXPECT_EQ(Find(file, "tasks[\"b\"].command.arguments[4]"), "13:24: tasks[1].command");
  EXPECT_EQ(Find(file, "tasks[\"b\"]"), "13:12: tasks[1]");
  EXPECT_EQ(Find(file, "tasks[1].name"), "13:12: tasks[1].name");
}

TEST(FieldPlaceTest, NamesTheTaskOfWhatComesFromTheDefaults) {
  const GraphFile file =
      Parse("defaults: {consumption: {cpu: 2}}\ntasks:\n  - {name: a, command: [x]}\n");
  EXPECT_EQ(Find(file, "tasks[\"a\"].consumption[\"cpu\"]"), "3:12: tasks[0].consumption.cpu");
}

TEST(FieldPlaceTest, FindsNothingThatTheFileDoesNotHave) {
  const GraphFile file = Parse("tasks:\n  - {name: a, command: [x]}\n");
  for (const char* field :
       {"", "tasks", "tasks[1].name", "tasks[\"c\"].after", "tasks[\"c", "tasks[\"c\\",
        "tasks[\"a\"", "tasks[-1]", "tasks[x]", "tasks[", "graph", "tasks[0]..name", "[0]"}) {
    EXPECT_EQ(Find(file, field), "none") << field;
  }
  EXPECT_EQ(Find(file, "graph.name"), "0:0: name");
  EXPECT_EQ(Find(file, "graph.client_queue"), "0:0: queue");
}

TEST(FieldPlaceTest, NamesTheTaskOfARecordedWorkflow) {
  const GraphFile file = Parse(
      "{\"schemaVersion\": \"1.5\", \"workflow\": {\n"
      "\"specification\": {\"tasks\": [{\"id\": \"a\"}]},\n"
      "\"execution\": {\"tasks\": [{\"id\": \"a\", \"runtimeInSeconds\": 1}]}}}");
  EXPECT_EQ(Find(file, "tasks[\"a\"].consumption[\"cpu\"]"),
            "2:36: workflow.specification.tasks[0].consumption.cpu");
}

}  // namespace
}  // namespace kartograph::cli
