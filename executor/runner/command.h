// What an attempt executes: read from its payload, with its directory and its environment.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_COMMAND_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_COMMAND_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "executor/cluster.h"
#include "executor/payload.pb.h"
#include "executor/runner/environment.h"
#include "executor/runner/spawn.h"

namespace kartograph::executor {

// Owns all that a SpawnRequest points to, so that the caller may go on while a process is on its
// way to its program. Made for being used again: it keeps its memory. Thread-compatible; errors are
// FailedPrecondition with a message for the task's author.
class Command {
 public:
  // Reads the payload of `launch`, and says what is wrong with it.
  absl::Status Read(const Launch& launch);
  // After Read: `sandbox` is the working directory where the payload names none.
  void SetUp(const Launch& launch, const std::string& attempt, const std::string& sandbox,
             const Environment& base);
  // After SetUp: looks the program up, where it was named without a slash.
  absl::Status FindProgram(ProgramFinder* programs, int64_t now_ns);
  // The program was found but not executed. Whether there is another way, which is then set up.
  bool TryAnotherWay(ProgramFinder* programs, int64_t now_ns);

  // After FindProgram: program, argv, environment and directory. Valid until the next change.
  SpawnRequest Request();
  // Why the process has not become the program.
  absl::Status Problem(Spawning::Step step, int error) const;

 private:
  // Whether the shell line is a plain command by its full path, which is then in argv_.
  bool UseWordsOfShellLine();
  void UseShell();
  absl::Status CannotStart(int error) const;

  Payload payload_;
  std::string directory_;
  EnvironmentBlock environment_;
  std::vector<std::string> words_;  // of a shell line
  std::vector<char*> argv_;
  std::string program_;
  bool searched_ = false;  // the program is looked up in path_
  std::string path_;
  bool without_shell_ = false;
  bool searched_again_ = false;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_COMMAND_H_
