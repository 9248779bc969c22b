// What in a task is allowed and probably a mistake, mostly in its command.
#ifndef KARTOGRAPH_CLI_COMMAND_ADVICE_H_
#define KARTOGRAPH_CLI_COMMAND_ADVICE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "planner/resources.h"

namespace kartograph::cli {

// Warnings on a command as a graph file gives it: `arguments`, or a text that `shell` runs, by
// default /bin/sh. `in_own_folder`: it starts in its attempt's own folder, which is empty.
std::vector<std::string> CommandAdvice(const v1::Command& command,
                                       absl::Span<const std::string> shell, bool in_own_folder);

// What to say of an amount of memory that was probably meant in a larger unit than bytes, after
// `text`, which is how it was given; empty where it was not.
std::string RamAdvice(absl::string_view text, const planner::Quantity& ram);

// Whether a shell would replace a variable in it.
bool NamesVariable(absl::string_view text);
// Whether a shell would run a command in it and take what that prints: $(date), `date`.
bool NamesCommand(absl::string_view text);
// Whether a shell would replace a `~` in the value of a variable such as PATH.
bool NamesHome(absl::string_view value);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_COMMAND_ADVICE_H_
