// What in a task's command is allowed and probably a mistake.
#ifndef KARTOGRAPH_CLI_COMMAND_ADVICE_H_
#define KARTOGRAPH_CLI_COMMAND_ADVICE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "api/kartograph/v1/task_executer.pb.h"

namespace kartograph::cli {

// Warnings on a command as a graph file gives it: `arguments`, or a text that `shell` runs, by
// default /bin/sh. `in_own_folder`: it starts in its attempt's own folder, which is empty.
std::vector<std::string> CommandAdvice(const v1::Command& command,
                                       absl::Span<const std::string> shell, bool in_own_folder);

// Whether a shell would replace a variable in it.
bool NamesVariable(absl::string_view text);
// Whether a shell would replace a `~` in the value of a variable such as PATH.
bool NamesHome(absl::string_view value);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_COMMAND_ADVICE_H_
