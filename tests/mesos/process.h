// A child process on an event loop.
#ifndef KARTOGRAPH_TESTS_MESOS_PROCESS_H_
#define KARTOGRAPH_TESTS_MESOS_PROCESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/mesos/loop.h"

namespace kartograph::stand_in {

// Used on the loop's thread.
class Process {
 public:
  struct Options {
    std::string program;
    std::vector<std::string> arguments;    // the program's name first
    std::vector<std::string> environment;  // "NAME=value"
    std::string directory;                 // gets `stdout` and `stderr`
  };
  // In a session of its own. `on_end` gets what waitpid says; it may destroy the process.
  static absl::StatusOr<std::unique_ptr<Process>> Start(Loop& loop, const Options& options,
                                                        std::function<void(int status)> on_end);
  // Kills it where it still runs.
  ~Process();

  int pid() const { return pid_; }
  // To it and those it has started in its process group.
  void Signal(int signal);

 private:
  struct Descriptor;  // readable once it has ended
  Process();
  void AwaitEnd();

  int pid_ = -1;
  bool ended_ = false;
  std::unique_ptr<Descriptor> descriptor_;
  std::function<void(int)> on_end_;
};

// Ends what still runs of a sandbox: processes with its path in their environment or below it.
void EndProcessesOf(const std::string& sandbox);
// The memory that these have for themselves, in bytes.
int64_t MemoryOf(const std::string& sandbox);

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_PROCESS_H_
