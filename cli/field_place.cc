#include "cli/field_place.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace kartograph::cli {
namespace {

// Takes ["key"], whose key may have escapes, from the front of `field`.
bool ConsumeQuotedKey(absl::string_view* field, std::string* key) {
  if (!absl::ConsumePrefix(field, "[\"")) return false;
  size_t end = 0;
  while (end < field->size() && (*field)[end] != '"') end += (*field)[end] == '\\' ? 2 : 1;
  if (end >= field->size() || !absl::CUnescape(field->substr(0, end), key)) return false;
  field->remove_prefix(end + 1);
  return absl::ConsumePrefix(field, "]");
}

// Takes [3].
bool ConsumeIndex(absl::string_view* field, int64_t* index) {
  if (!absl::ConsumePrefix(field, "[")) return false;
  const size_t end = field->find(']');
  if (end == absl::string_view::npos || !absl::SimpleAtoi(field->substr(0, end), index)) {
    return false;
  }
  field->remove_prefix(end + 1);
  return *index >= 0;
}

// The file has no message for the command: what is in that belongs to the task itself.
std::vector<FieldStep> AsInFile(std::vector<FieldStep> of_task) {
  if (of_task.size() < 2 || of_task[0].key != "command") return of_task;
  const absl::string_view part = of_task[1].key;
  if (part == "shell" || part == "arguments") {
    of_task.erase(of_task.begin() + 1);
  } else if (part == "directory" || part == "environment") {
    of_task.erase(of_task.begin());
  }
  return of_task;
}

}  // namespace

std::optional<std::vector<FieldStep>> ParseField(absl::string_view field) {
  std::vector<FieldStep> steps;
  while (!field.empty()) {
    FieldStep step;
    if (absl::StartsWith(field, "[\"")) {
      if (!ConsumeQuotedKey(&field, &step.key)) return std::nullopt;
    } else if (absl::StartsWith(field, "[")) {
      if (!ConsumeIndex(&field, &step.index)) return std::nullopt;
    } else {
      if (!steps.empty() && !absl::ConsumePrefix(&field, ".")) return std::nullopt;
      const absl::string_view key = field.substr(0, field.find_first_of(".["));
      if (key.empty()) return std::nullopt;
      step.key = std::string(key);
      field.remove_prefix(key.size());
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

std::optional<FilePlace> FindField(const GraphFile& file, const std::vector<FieldStep>& steps) {
  if (steps.size() == 2 && steps[0].key == "graph") {
    return FilePlace{{}, steps[1].key == "client_queue" ? "queue" : steps[1].key};
  }
  if (steps.size() < 2 || steps[0].key != "tasks") return std::nullopt;
  size_t task = steps[1].index >= 0 ? static_cast<size_t>(steps[1].index) : 0;
  if (steps[1].index < 0) {
    while (task < file.tasks->size() && file.tasks->name(task) != steps[1].key) ++task;
  }
  if (task >= file.tasks->size()) return std::nullopt;
  return file.tasks->Find(task, AsInFile({steps.begin() + 2, steps.end()}));
}

}  // namespace kartograph::cli
