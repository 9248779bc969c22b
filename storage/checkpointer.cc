#include "storage/checkpointer.h"

#include <sqlite3.h>

#include <utility>

namespace kartograph::storage {
namespace {

// This few pages take the writer no longer than a commit does.
constexpr int kFewPages = 256;
// https://www.sqlite.org/fileformat.html#the_write_ahead_log
constexpr int64_t kFrameHeaderBytes = 24;
constexpr int64_t kWalHeaderBytes = 32;

struct Progress {
  bool ok = false;
  int in_wal = 0;
  int copied = 0;
};

Progress CopyWhatCanBe(Connection& connection) {
  Progress progress;
  progress.ok = sqlite3_wal_checkpoint_v2(connection.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                          &progress.in_wal, &progress.copied) == SQLITE_OK;
  return progress;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checkpointer>> Checkpointer::Start(
    Connection* writer, const Connection::Options& options, bool durable, int pages,
    int64_t reserve) {
  absl::StatusOr<std::unique_ptr<Connection>> own = Connection::Open(options);
  if (!own.ok()) return own.status();
  // What is copied must be on the disk before the WAL is written over.
  absl::Status status =
      (*own)->Execute(durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF");
  if (!status.ok()) return status;
  sqlite3_wal_autocheckpoint((*own)->handle(), 0);
  const absl::StatusOr<int64_t> page_size = (*own)->QueryInt("PRAGMA page_size");
  if (!page_size.ok()) return page_size.status();
  return std::unique_ptr<Checkpointer>(
      new Checkpointer(writer, *std::move(own), pages, *page_size + kFrameHeaderBytes, reserve));
}

Checkpointer::Checkpointer(Connection* writer, std::unique_ptr<Connection> own, int pages,
                           int64_t page_bytes, int64_t reserve)
    : writer_(*writer),
      own_(std::move(own)),
      pages_(pages),
      page_bytes_(page_bytes),
      reserve_(writer->path() + "-wal", reserve) {
  // From the beginning, so that it is there before anybody has filled the disk.
  reserve_.Keep(0).IgnoreError();  // the first commit reports it
  sqlite3_wal_hook(
      writer_.handle(),
      [](void* self, sqlite3*, const char*, int in_wal) {
        static_cast<Checkpointer*>(self)->OnCommit(in_wal);
        return SQLITE_OK;
      },
      this);
  thread_ = std::thread([this] { Run(); });
}

Checkpointer::~Checkpointer() {
  sqlite3_wal_hook(writer_.handle(), nullptr, nullptr);
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyOne();
  thread_.join();
}

void Checkpointer::OnCommit(int pages) {
  reserve_.Keep(kWalHeaderBytes + pages * page_bytes_).IgnoreError();  // see CheckRoom
  if (pages >= kMostTimes * pages_) {
    // Only one can copy at a time, so the writer waits for the thread's round to end: whatever
    // delays that, the WAL has its bound.
    MutexLock copying(&copying_);
    CopyWhatCanBe(writer_);
    return;
  }
  if (almost_done_.exchange(false)) {
    CopyWhatCanBe(writer_);
    return;
  }
  if (pages < pages_) return;
  {
    MutexLock lock(&mutex_);
    wanted_ = true;
  }
  wake_.NotifyOne();
}

void Checkpointer::Run() {
  // A connection knows nothing of its file, not even that it has a WAL, until it has read it.
  own_->QueryInt("PRAGMA user_version").IgnoreError();
  while (true) {
    {
      MutexLock lock(&mutex_);
      while (!wanted_ && !stopping_) wake_.Wait(&mutex_);
      if (stopping_) return;
      wanted_ = false;
    }
    // The writer goes on meanwhile; each round has less to copy than the one before.
    constexpr int kRounds = 4;
    for (int i = 0; i < kRounds; ++i) {
      const Progress progress = [this] {
        MutexLock copying(&copying_);
        return CopyWhatCanBe(*own_);
      }();
      if (!progress.ok) break;
      ++runs_;
      if (i + 1 == kRounds || progress.in_wal - progress.copied <= kFewPages) {
        almost_done_ = true;
        break;
      }
    }
  }
}

}  // namespace kartograph::storage
