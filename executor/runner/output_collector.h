// Takes what attempts write to stdout and stderr, and keeps it in their sandboxes.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_OUTPUT_COLLECTOR_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_OUTPUT_COLLECTOR_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/descriptor.h"
#include "base/mutex.h"
#include "executor/disk_limits.h"
#include "executor/runner/disk_reserve.h"
#include "executor/runner/sandbox.h"
#include "planner/ids.h"

namespace kartograph::executor {

// An attempt writes into pipes, and a thread here copies them into the files `stdout` and `stderr`
// of its sandbox. Given the files themselves, a task that opens /dev/stderr would truncate its own
// log (`echo x > /dev/stderr` does), and nothing would bound what it writes.
//
// Of each stream the first and the last half of `limit` bytes are kept: the file's middle is given
// back to the file system as a hole, so that offsets stay what they were (Sandboxes::Read says what
// is missing). Where the file system has no holes, what comes after `limit` is dropped. What cannot
// be written, or would use the disk's reserve, is dropped as well, and the log says how much that
// was; the task is not held up, and does not fail by it.
//
// Thread-safe. What an attempt wrote is in its files when Close returns.
class OutputCollector {
 public:
  struct Options {
    int64_t limit = DiskLimits().log;  // bytes of each stream
    // For readers that see only plain files: empty ones are made at once, and what was cut out is
    // told by a file (cut_log.h).
    bool read_remotely = false;
  };
  // `sandboxes` and `reserve` outlive this.
  static absl::StatusOr<std::unique_ptr<OutputCollector>> Create(Options options,
                                                                 const Sandboxes* sandboxes,
                                                                 DiskReserve* reserve);
  // Nothing is read any more; what is in pipes still is lost.
  ~OutputCollector();
  OutputCollector(const OutputCollector&) = delete;
  OutputCollector& operator=(const OutputCollector&) = delete;

  // For streams that open later or grow further from now on.
  void SetLimit(int64_t limit) { limit_.store(limit, std::memory_order_relaxed); }

  // The ends to write to. Closed by the caller once the process has its own.
  struct Ends {
    Descriptor stdout_end;
    Descriptor stderr_end;
  };
  // Makes the pipes of an attempt, which has a sandbox. Errors are ErrnoStatus's.
  absl::StatusOr<Ends> Open(planner::AttemptId attempt);
  // The attempt has begun to write: what it writes is copied from now on.
  void Watch(planner::AttemptId attempt);
  // The attempt has ended: what is still in its pipes is copied, and no more is read. Does nothing
  // where Open was not called.
  void Close(planner::AttemptId attempt);

 private:
  struct Stream {
    planner::AttemptId attempt;
    const char* name = "";
    uint64_t key = 0;  // in watched_; 0: not there. Guarded by the collector's mutex
    Mutex mutex;
    Descriptor pipe ABSL_GUARDED_BY(mutex);
    Descriptor file ABSL_GUARDED_BY(mutex);  // made when something comes
    int64_t size ABSL_GUARDED_BY(mutex) = 0;
    int64_t hole_begin ABSL_GUARDED_BY(mutex) = 0;
    int64_t hole_end ABSL_GUARDED_BY(mutex) = 0;  // 0: there is none
    bool full ABSL_GUARDED_BY(mutex) = false;     // at its limit, and there can be no hole
    int64_t dropped ABSL_GUARDED_BY(mutex) = 0;   // bytes that the log does not mention yet
    std::string why ABSL_GUARDED_BY(mutex);       // they were dropped
  };
  using Streams = std::array<Stream, 2>;

  OutputCollector(Options options, const Sandboxes* sandboxes, DiskReserve* reserve,
                  Descriptor events, Descriptor wake);
  void Run();
  // Begins to watch the streams that have been written to for a moment.
  void WatchBegun();
  // One that is watched, with the attempt's streams that it is part of.
  std::shared_ptr<Stream> Find(uint64_t key);
  // Copies what is there, up to `budget` bytes; how many there were.
  int64_t Copy(Stream* stream, int64_t budget) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(stream->mutex);
  void Write(Stream* stream, absl::string_view data) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stream->mutex);
  // How many bytes could be written; where that is not all, the stream's `why` says why.
  size_t Append(Stream* stream, absl::string_view data) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stream->mutex);
  // Gives its file to the stream.
  absl::Status MakeFile(Stream* stream) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(stream->mutex);
  void CutMiddle(Stream* stream) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(stream->mutex);
  void ReportDropped(Stream* stream) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(stream->mutex);

  const Sandboxes* const sandboxes_;
  DiskReserve* const reserve_;
  const bool read_remotely_;
  std::atomic<int64_t> limit_;
  const Descriptor events_;  // epoll
  const Descriptor wake_;    // eventfd

  Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Whether the thread will look at begun_ without being woken.
  bool will_look_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<planner::AttemptId, std::shared_ptr<Streams>> streams_
      ABSL_GUARDED_BY(mutex_);
  std::vector<planner::AttemptId> begun_ ABSL_GUARDED_BY(mutex_);  // not watched yet
  // Those that are, by the number that epoll knows each by; never used again.
  absl::flat_hash_map<uint64_t, std::shared_ptr<Stream>> watched_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_key_ ABSL_GUARDED_BY(mutex_) = 0;

  std::thread thread_;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_OUTPUT_COLLECTOR_H_
