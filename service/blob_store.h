// What tasks read and the run history does not hold: blobs, each a file named by the digest of its
// content.
#ifndef KARTOGRAPH_SERVICE_BLOB_STORE_H_
#define KARTOGRAPH_SERVICE_BLOB_STORE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mutex.h"
#include "base/sha256.h"
#include "executor/disk_limits.h"
#include "executor/runner/disk_reserve.h"
#include "service/shared_limit.h"
#include "storage/history.h"

namespace kartograph::service {

// Whether this is the id of a blob: 64 lower-case hexadecimal digits.
inline bool IsBlobId(absl::string_view text) { return IsSha256(text); }
// What is wrong with another text.
inline constexpr char kBlobIdRule[] =
    "is not the id of a blob, which is the SHA-256 of its content as 64 lower-case hexadecimal "
    "digits";

// The blobs of one service, in a folder of their own. A file gets its name when it is whole and on
// the disk, and is not changed from then on, so whoever finds it may read it without asking.
//
// A blob stays for as long as the run history has a graph that refers to it, and for a day after it
// was last put, asked for or referred to. Where the wall clock has been set forward while the
// service was down, one that no graph refers to may go sooner; clients put it again. What is in use
// never depends on a clock.
//
// Thread-safe, but for Sweep, which is called by one thread at a time. All but Keep may read or
// write much, and belong on a worker.
class BlobStore {
 public:
  struct Options {
    std::string folder;  // absolute; made where it is missing
    int64_t max_blob_bytes = int64_t{64} << 20;
    // Of uploads that are under way.
    int64_t max_uploads = 100;
    int64_t max_uploaded_bytes = int64_t{1} << 30;  // as announced; one blob in any case
    int64_t disk_reserve = executor::DiskLimits::kUsualReserve;
    const Clock* clock = &Clock::System();  // outlives the store
  };
  // Removes what uploads have left that were cut off by the end of the service: one store at a time
  // uses a folder.
  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(Options options);

  // A blob that is being received. What it has written is removed with it, unless it was finished.
  // Thread-compatible; the store outlives it.
  class Upload {
   public:
    ~Upload();
    Upload(const Upload&) = delete;
    Upload& operator=(const Upload&) = delete;

    // The next part. InvalidArgument where that is more than was announced, ResourceExhausted where
    // the disk has no room for it; the upload is of no use then.
    absl::Status Append(absl::string_view data);
    // Keeps the blob: it is on the disk when this returns OK. InvalidArgument where size or digest
    // are not those announced. Once.
    absl::Status Finish();

   private:
    friend class BlobStore;
    Upload(BlobStore* store, std::string id, int64_t size)
        : store_(*store), id_(std::move(id)), size_(size) {}

    BlobStore& store_;
    const std::string id_;
    const int64_t size_;
    int64_t received_ = 0;
    Sha256 digest_;
    std::string draft_;  // the name of its file; empty where there is none
    Descriptor file_;
    SharedLimit::Claim open_;
    SharedLimit::Claim bytes_;
  };
  // Null where the blob is kept already, and need not be sent. InvalidArgument with problems of the
  // fields `blob.*`; ResourceExhausted over a limit.
  absl::StatusOr<std::unique_ptr<Upload>> Begin(const std::string& id, int64_t size);

  // Of these ids those that are not kept; the others stay for another day. A file that was not
  // looked into since the start is read, and removed where its content is not what it was.
  absl::StatusOr<std::vector<std::string>> Missing(absl::Span<const std::string> ids);

  // Whether it is kept, as far as its size says; then it stays for another day. Takes microseconds.
  bool Keep(const std::string& id);

  // Looks at some of the blobs, and removes those that are not needed. Whether there are more to be
  // looked at in this round; the next call after the last begins a new one.
  absl::StatusOr<bool> Sweep(storage::HistoryReader& history);

  int64_t max_blob_bytes() const { return options_.max_blob_bytes; }

 private:
  // What was learnt of a file since the start.
  struct Known {
    int64_t size = 0;
    bool verified = false;  // it is on the disk, and its content has this digest
    SteadyTime used;
  };

  BlobStore(Options options, Descriptor folder);
  // Kept, and its content verified, with this start or by reading it while `budget` lasts.
  absl::StatusOr<bool> IsWhole(const std::string& id, int64_t& budget);
  void RemoveDamaged(const std::string& id, uint64_t inode);
  void Touch(const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MayGo(const std::string& id, const Instant& now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SyncFolder() const;
  absl::StatusOr<std::vector<std::string>> List() const;

  const Options options_;
  const Descriptor folder_;
  executor::DiskReserve reserve_;
  SharedLimit uploads_;
  SharedLimit uploaded_bytes_;
  std::atomic<uint64_t> drafts_ = 0;

  Mutex mutex_;  // a file is not removed while it is being touched
  absl::flat_hash_map<std::string, Known> known_ ABSL_GUARDED_BY(mutex_);

  std::vector<std::string> to_look_at_;  // by Sweep, in this round
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_BLOB_STORE_H_
