// Whether tasks and the names they come after make a graph.
#ifndef KARTOGRAPH_CLI_GRAPH_CHECK_H_
#define KARTOGRAPH_CLI_GRAPH_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/file_problems.h"

namespace kartograph::cli {

// A task as far as the check needs it. The names belong to the caller.
struct TaskNode {
  struct After {
    absl::string_view name;
    Mark mark;
  };
  absl::string_view name;
  Mark mark;
  std::vector<After> after;
};

// Reports names given twice, unknown names in `after` with the nearest known one, and for each knot
// of tasks that come after each other one shortest cycle as a path of names. Gives the number of
// edges; a name said twice in one `after` makes one. Linear in tasks and edges.
int64_t CheckGraph(absl::Span<const TaskNode> tasks, FileProblems* problems);

// Empty where `name` can name a task or a graph, otherwise what is wrong with it.
std::string NameProblem(absl::string_view name);
// Whether `c` may stand in the name of a task or a graph.
bool IsNameCharacter(char c);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_GRAPH_CHECK_H_
