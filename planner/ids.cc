#include "planner/ids.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kartograph::planner {

std::string GraphIdToString(GraphId graph) { return absl::StrCat("g", graph); }

std::optional<GraphId> ParseGraphId(absl::string_view text) {
  GraphId graph = 0;
  if (text.size() < 2 || text[0] != 'g' || !absl::SimpleAtoi(text.substr(1), &graph) ||
      graph == 0 || GraphIdToString(graph) != text) {
    return std::nullopt;
  }
  return graph;
}

std::string AttemptIdToString(AttemptId attempt) {
  return absl::StrCat("g", attempt.task().graph(), ".", attempt.task().index(), ".",
                      attempt.number());
}

std::optional<AttemptId> ParseAttemptId(absl::string_view text) {
  std::vector<absl::string_view> parts = absl::StrSplit(text, '.');
  uint32_t index = 0;
  uint32_t number = 0;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[1], &index) ||
      !absl::SimpleAtoi(parts[2], &number) || index >= kMaxTasks || number > kMaxLaunches) {
    return std::nullopt;
  }
  std::optional<GraphId> graph = ParseGraphId(parts[0]);
  if (!graph) return std::nullopt;
  AttemptId attempt = AttemptId::Of(TaskKey::Of(*graph, index), number);
  if (AttemptIdToString(attempt) != text) return std::nullopt;
  return attempt;
}

}  // namespace kartograph::planner
