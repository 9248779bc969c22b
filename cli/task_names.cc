#include "cli/task_names.h"

#include <algorithm>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cli/file_problems.h"
#include "cli/report.h"
#include "cli/text.h"

namespace kartograph::cli {

namespace {

// "waiting, ready or running".
std::string AnyOf(absl::Span<const v1::TaskState> states) {
  std::string words;
  for (size_t i = 0; i < states.size(); ++i) {
    const bool last = i + 1 == states.size();
    absl::StrAppend(&words, i == 0 ? "" : last ? " or " : ", ", Word(states[i]));
  }
  return words;
}

}  // namespace

bool IsPattern(absl::string_view word) {
  return word.find_first_of("*?") != absl::string_view::npos;
}

bool MatchesPattern(absl::string_view name, absl::string_view pattern) {
  // Where the last `*` stood, and what it was to match up to then: on a mismatch it takes one
  // character more.
  size_t star = absl::string_view::npos;
  size_t star_name = 0;
  size_t n = 0;
  size_t p = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == absl::string_view::npos;
}

absl::StatusOr<std::vector<std::string>> ExpandTaskNames(const Context& context,
                                                         const v1::Graph& graph,
                                                         const std::vector<std::string>& words,
                                                         absl::Span<const v1::TaskState> states) {
  std::vector<std::string> names;
  absl::flat_hash_set<std::string> seen;
  const auto add = [&](const std::string& name) {
    if (seen.insert(name).second) names.push_back(name);
  };
  std::optional<v1::ListTasksResponse> tasks;
  for (const std::string& word : words) {
    if (!IsPattern(word)) {
      add(word);
      continue;
    }
    if (!tasks) {
      v1::ListTasksRequest request;
      request.set_graph_id(graph.graph_id());
      for (v1::TaskState state : states) request.add_states(state);
      absl::StatusOr<v1::ListTasksResponse> listed = ListAllTasks(context, std::move(request));
      if (!listed.ok()) return listed.status();
      tasks = *std::move(listed);
    }
    bool found = false;
    for (const v1::Task& task : tasks->tasks()) {
      if (!MatchesPattern(task.name(), word)) continue;
      found = true;
      add(task.name());
    }
    if (!found) {
      return absl::NotFoundError(absl::StrCat("no task of ", NameAndId(graph), " matches ",
                                              Quoted(word), " and is ", AnyOf(states)));
    }
  }
  return names;
}

}  // namespace kartograph::cli
