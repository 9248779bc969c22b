// Processes that run one attempt after another.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_WORKER_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_WORKER_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "executor/runner/cgroup.h"
#include "executor/runner/environment.h"
#include "executor/runner/process_table.h"

namespace kartograph::executor {

// The protocol between an agent and a worker (docs/workers.md). A worker has a SOCK_SEQPACKET
// socket as descriptor 3, and KARTOGRAPH_WORKER=3. An attempt is one message to it: the variables
// that are the attempt's own, each NAME=value and a NUL, and after another NUL its input and the
// values that it reads, if they are short; with it come the descriptors that become its stdout and
// stderr. Its end is one message back: the exit status, whether the worker can go on, and the
// return value, if that is short.
inline constexpr absl::string_view kWorkerVariable = "KARTOGRAPH_WORKER";
inline constexpr absl::string_view kWorkerSocket = "3";
// Of the variables, and of input and values: together well below what any kernel lets into a socket
// at once.
inline constexpr size_t kMaxWorkerVariables = 64 << 10;
inline constexpr size_t kMaxWorkerInput = 48 << 10;
// Of an answer with its return value.
inline constexpr size_t kMaxWorkerAnswer = 1 << 10;

// The end of an attempt as its worker reports it.
struct WorkerAnswer {
  int exit_status = 0;
  bool can_go_on = false;
  std::optional<std::string> value;  // nothing: it is in its file, if there is one
};
// "0 keep" or "1 end", and, after a line's end, the return value; nothing where it is malformed.
std::optional<WorkerAnswer> ParseWorkerAnswer(absl::string_view text);

// A process that serves one attempt at a time. A value: nothing ends it by itself.
struct Worker {
  // Its end of the socket, to be passed to the new process, where there is one.
  static std::unique_ptr<Worker> Make(std::string key, std::shared_ptr<const Environment> base,
                                      Descriptor* its_end);

  // Gives it an attempt. False where it cannot be reached, and then has to be ended.
  bool Send(absl::string_view message, int stdout_fd, int stderr_fd) const;
  enum class Received {
    kNothing,
    kAnswer,
    kClosed,
    kUnread,  // closed, and the last attempt that it was given was never read
  };
  // Reads what it says. A malformed answer has the status -1. kUnread is told once, then kClosed.
  Received Receive(WorkerAnswer* answer) const;

  pid_t pid = 0;
  Descriptor socket;
  std::string key;                          // Command::worker_key
  std::shared_ptr<const Environment> base;  // of its environment
  CgroupPool::Group cgroup;                 // while it is idle
  int attempts = 0;                         // that it was given
  uint64_t first_attempt = 0;               // AttemptId in the environment of its process
  ProcessUsage usage;                       // when its last attempt ended
};

// Those that wait for their next attempt. What they hold is nobody's consumption, so that there are
// few of them, and none for long. Thread-compatible.
class IdleWorkers {
 public:
  struct Limits {
    size_t workers = 64;
    uint64_t memory = 0;         // bytes of all together
    uint64_t worker_memory = 0;  // of one
    int attempts = 1000;         // that one is given, at most
    absl::Duration idle = absl::Minutes(1);
  };
  // A sixteenth of this machine's memory for all, half of that for one.
  static Limits DefaultLimits();

  explicit IdleWorkers(Limits limits) : limits_(limits) {}

  // Whether one that has just ended an attempt is worth keeping.
  bool Accepts(const Worker& worker) const {
    return worker.attempts < limits_.attempts && worker.usage.rss_bytes <= limits_.worker_memory;
  }
  void Add(std::unique_ptr<Worker> worker, SteadyTime now);
  // One for an attempt that may use `ram_limit` bytes (0: any number), the last used of those that
  // hold no more than half of it; null where there is none.
  std::unique_ptr<Worker> Take(const std::string& key, const Environment* base, uint64_t ram_limit);
  std::unique_ptr<Worker> Remove(pid_t pid);
  // The longest idle one, where the limits are exceeded as of now; otherwise null. Those of the
  // last moment are not counted, as they are about to be taken again.
  std::unique_ptr<Worker> TakeExcess(SteadyTime now);
  // When TakeExcess has one; InfiniteFuture: never.
  SteadyTime NextExcess() const;
  // Any one; null where there is none.
  std::unique_ptr<Worker> TakeAny();

  bool Contains(pid_t pid) const { return by_pid_.contains(pid); }

 private:
  struct Idle {
    std::unique_ptr<Worker> worker;
    SteadyTime since;
  };
  using Position = std::list<Idle>::iterator;
  std::unique_ptr<Worker> TakeAt(Position position);
  bool IsFull() const { return idle_.size() > limits_.workers || memory_ > limits_.memory; }

  const Limits limits_;
  std::list<Idle> idle_;  // the longest idle first
  absl::flat_hash_map<pid_t, Position> by_pid_;
  uint64_t memory_ = 0;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_WORKER_H_
