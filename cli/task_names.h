// Tasks as people name them: exactly, or many at once by a pattern.
#ifndef KARTOGRAPH_CLI_TASK_NAMES_H_
#define KARTOGRAPH_CLI_TASK_NAMES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "cli/commands.h"

namespace kartograph::cli {

// Most names that one call takes.
inline constexpr size_t kMaxTaskNames = 1000;

// Whether it stands for any number of names: no name of a task has a `*` or a `?`.
bool IsPattern(absl::string_view word);
// `*` stands for any characters, `/` too, `?` for one.
bool MatchesPattern(absl::string_view name, absl::string_view pattern);

// The names that are meant, each once, in order: exact ones as they are, and for each pattern those
// of the tasks in one of `states`. NotFound where a pattern matches none.
absl::StatusOr<std::vector<std::string>> ExpandTaskNames(const Context& context,
                                                         const v1::Graph& graph,
                                                         const std::vector<std::string>& words,
                                                         absl::Span<const v1::TaskState> states);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_TASK_NAMES_H_
