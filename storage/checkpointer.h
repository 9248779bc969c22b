// Takes care of the WAL: copies what is committed from it into the database, beside the writer.
#ifndef KARTOGRAPH_STORAGE_CHECKPOINTER_H_
#define KARTOGRAPH_STORAGE_CHECKPOINTER_H_

#include <atomic>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "storage/sqlite.h"
#include "storage/wal_reserve.h"

namespace kartograph::storage {

// Owns one thread and one connection. A commit that leaves more than `pages` in the WAL wakes it;
// it copies until little is left, which the writer then copies with its next commit: only the
// writer can see the WAL wholly copied, and so start it over. Where the disk cannot keep up the
// writer helps, so that the WAL stays below kMostTimes as large. An error is tried again with the
// next commit, which reports it if it persists.
class Checkpointer {
 public:
  static constexpr int kMostTimes = 8;

  // `writer` outlives this; `durable` as in HistoryOptions. `reserve` bytes of the disk are kept
  // behind the WAL. Used on the writer's thread alone, but for the thread's own connection.
  static absl::StatusOr<std::unique_ptr<Checkpointer>> Start(Connection* writer,
                                                             const Connection::Options& options,
                                                             bool durable, int pages,
                                                             int64_t reserve);
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // ResourceExhausted where the disk has no more room than the reserve, or what is left of it.
  absl::Status CheckRoom() { return reserve_.KeepAgain(); }

  // Times that the thread has copied something.
  int64_t runs() const { return runs_; }

 private:
  Checkpointer(Connection* writer, std::unique_ptr<Connection> own, int pages, int64_t page_bytes,
               int64_t reserve);

  void OnCommit(int pages);
  void Run();

  Connection& writer_;
  const std::unique_ptr<Connection> own_;  // used by thread_
  const int pages_;
  const int64_t page_bytes_;  // in the WAL
  WalReserve reserve_;
  std::atomic<bool> almost_done_{false};  // the writer may finish it
  std::atomic<int64_t> runs_{0};
  Mutex copying_;  // held by the thread while it copies, and by the writer when it must
  Mutex mutex_;
  CondVar wake_;
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_CHECKPOINTER_H_
