// What /proc says of processes.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_PROCESS_TABLE_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_PROCESS_TABLE_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kartograph::executor {

struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  bool zombie = false;
  uint64_t start_ticks = 0;  // since boot: with the pid it names a process for good
  uint64_t rss_bytes = 0;
};

// All processes at about one moment. Costs some microseconds per process. Processes that come and
// go meanwhile may be missing. Nothing where not all could be read (there is no descriptor left):
// that no process is in the list would not mean that there is none.
std::optional<std::vector<Process>> ScanProcesses();
// Nothing where there is no such process.
std::optional<Process> ReadProcess(pid_t pid);
// Sends a signal to the process that was seen, never to another that has its number by now: needed
// for every process but our own children that we have not waited for. False, with errno set, where
// it was not sent: ESRCH where the process is gone.
bool SignalProcess(const Process& seen, int signal);
// The direct children of the calling thread; nothing where this kernel does not list them.
std::optional<std::vector<pid_t>> ReadChildren();
// The children of another process's first thread; nothing where they cannot be known.
std::vector<pid_t> ReadChildrenOf(pid_t pid);
// A variable of the environment that the process was started with; nothing where it has none or may
// not be read.
std::optional<std::string> ReadEnvironmentVariable(pid_t pid, absl::string_view name);
// Its share of the memory it uses, in bytes, without mapped files: pages that n processes share
// count 1/n for each. Nothing where it is gone or may not be read.
std::optional<uint64_t> ReadProportionalMemory(pid_t pid);
struct Relative {
  pid_t pid = 0;
  pid_t parent = 0;
};
// What the processes of a tree use together, in the same way: what only they share counts once.
uint64_t ReadMemoryOf(const std::vector<Relative>& tree);

// Its memory now, in bytes, without mapped files and what is shared as one is, but with pages that
// it shares with its forks. Takes some microseconds, as nothing is looked up page by page, and the
// kernel's counters may be some pages behind. 0 where it is gone.
uint64_t ReadAnonymousMemory(pid_t pid);

struct ProcessUsage {
  absl::Duration cpu_time;  // so far, with that of children that it has waited for
  uint64_t rss_bytes = 0;
  int threads = 0;
};
// All zero where it is gone.
ProcessUsage ReadUsage(pid_t pid);
// The most memory it had at once since it executed its program, or since ResetPeakMemory, in bytes,
// mapped files included; 0 where that is not known.
uint64_t ReadPeakMemory(pid_t pid);
// False where this is not possible.
bool ResetPeakMemory(pid_t pid);
// Whether it has children, ended ones that it has not waited for included. True where that cannot
// be known. `threads` is how many it has.
bool HasChildren(pid_t pid, int threads);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_PROCESS_TABLE_H_
