// What people may call graphs and tasks beside their names: titles, and labels to filter by.
#ifndef KARTOGRAPH_PLANNER_LABELS_H_
#define KARTOGRAPH_PLANNER_LABELS_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace kartograph::planner {

inline constexpr size_t kMaxLabels = 32;     // of a graph or a task
inline constexpr size_t kMaxLabelName = 63;  // characters
inline constexpr size_t kMaxLineCharacters = 256;

// Empty where the UTF-8 text is a title, or a label's value: one line of at most
// kMaxLineCharacters. Otherwise what is wrong with it, to be put after it.
std::string LineProblem(absl::string_view text);
// The same for a label's name: a task's name of at most kMaxLabelName characters.
std::string LabelNameProblem(absl::string_view name);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_LABELS_H_
