// What may name a task, a graph, a client queue or a resource: one rule for files, messages and
// settings.
#ifndef KARTOGRAPH_PLANNER_NAMES_H_
#define KARTOGRAPH_PLANNER_NAMES_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace kartograph::planner {

inline constexpr size_t kMaxNameLength = 256;
inline constexpr size_t kMaxResourceNameLength = 64;
inline constexpr size_t kMaxUserNameLength = 32;  // of a share as well

// Whether `c` may stand in the name of a task, a graph or a queue.
bool IsNameCharacter(char c);

// Empty where `name` can name a task, a graph or a queue; otherwise what is wrong with it and what
// would be right, to be put after the name: "must not start with '-'".
std::string NameProblem(absl::string_view name);
// Whether `text` looks like the id of a graph: "g17".
bool LooksLikeGraphId(absl::string_view text);
// NameProblem of a graph, which moreover must not look like an id: commands take either.
std::string GraphNameProblem(absl::string_view name);
// The same for the name of a resource, a user or a share (of users that have it in common):
// letters, digits, '_', '-' and '.', a letter first.
std::string ResourceNameProblem(absl::string_view name);
std::string UserNameProblem(absl::string_view name);
std::string ShareNameProblem(absl::string_view name);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_NAMES_H_
