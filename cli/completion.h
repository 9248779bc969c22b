// Scripts with which a shell completes kartograph's commands.
#ifndef KARTOGRAPH_CLI_COMPLETION_H_
#define KARTOGRAPH_CLI_COMPLETION_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kartograph::cli {

struct CompletedCommand {
  enum class Takes { kNothing, kFile, kGraph, kGraphAndTask, kShell };
  std::string name;
  std::string description;
  std::vector<std::string> options;  // long ones, with their dashes
  Takes takes = Takes::kNothing;     // its first words
};

// The script for `shell`, to be sourced; empty where it is none of bash, zsh and fish. `general`
// are the options that every command takes.
std::string CompletionScript(absl::string_view shell, absl::Span<const CompletedCommand> commands,
                             const std::vector<std::string>& general);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_COMPLETION_H_
