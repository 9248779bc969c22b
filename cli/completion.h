// Scripts with which a shell completes kartograph's commands.
#ifndef KARTOGRAPH_CLI_COMPLETION_H_
#define KARTOGRAPH_CLI_COMPLETION_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kartograph::cli {

// What stands after an option or a command.
struct CompletedWord {
  enum class Kind {
    kNothing,
    kText,  // anything, which cannot be completed
    kFile,
    kFolder,
    kGraph,
    kGraphAndTask,  // a graph first, then its tasks
    kQueue,
    kChoice,
  };
  Kind kind = Kind::kNothing;
  std::vector<std::string> choices{};  // of kChoice
};

struct CompletedOption {
  std::string name;  // a long one, with its dashes
  CompletedWord value{};
};

struct CompletedCommand {
  std::string name;  // as it is typed after the program's: "submit", "queue", "queue list"
  std::string description;
  std::vector<CompletedOption> options{};
  // Its first words. Of a command that has commands of its own, such as `queue`, their names.
  CompletedWord takes{};
  bool has_commands = false;
};

// The script for `shell`, to be sourced; empty where it is none of bash, zsh and fish. `general`
// are the options that every command takes.
std::string CompletionScript(absl::string_view shell, absl::Span<const CompletedCommand> commands,
                             const std::vector<CompletedOption>& general);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_COMPLETION_H_
