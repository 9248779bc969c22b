// Which tasks are alike: those whose runs say how long the next one takes.
#ifndef KARTOGRAPH_PLANNER_TASK_KIND_H_
#define KARTOGRAPH_PLANNER_TASK_KIND_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "planner/resources.h"

namespace kartograph::planner {

// The kind of a task, as text. A value type, in order of its parts.
struct TaskKind {
  std::string graph;        // NamePattern of the graph's name
  std::string task;         // NamePattern of the task's name
  std::string consumption;  // as ConsumptionText has it

  auto operator<=>(const TaskKind&) const = default;
  bool operator==(const TaskKind&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const TaskKind& kind) {
    return H::combine(std::move(h), kind.graph, kind.task, kind.consumption);
  }
};

// A name with '#', which no name has, in place of each run of digits: "tile-0431/part-2" is
// "tile-#/part-#". So it is never longer than the name, and the pattern of a pattern is itself.
std::string NamePattern(absl::string_view name);
// The same into `pattern`, which is overwritten: for many names.
void NamePattern(absl::string_view name, std::string* pattern);

// "cpu=1 ram=536870912 share=0.125": exact, and in order of the names, so that it is the same in
// every process. It holds no resource's name in the table of names.
std::string ConsumptionText(const ResourceVector& consumption);
// What such a text says; what cannot be read is left out. The views are into the text.
std::vector<std::pair<absl::string_view, Quantity>> ParseConsumptionText(absl::string_view text);
// The quantity of a resource in such a text; zero where it is not named.
Quantity QuantityIn(absl::string_view consumption_text, absl::string_view resource);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_TASK_KIND_H_
