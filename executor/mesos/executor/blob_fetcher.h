// Brings the blobs that attempts read to an agent's host.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_BLOB_FETCHER_H_
#define KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_BLOB_FETCHER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/sha256.h"
#include "executor/disk_limits.h"
#include "executor/mesos/protocol/framework_message.pb.h"
#include "executor/runner/disk_reserve.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

// Each blob is fetched once, in parts, and kept as a file of its id's name for as long as there is
// room: the service is asked for the next part when one has come, and again where none comes, as
// messages may be lost. A file has its name when its content is verified.
//
// It knows no connection: whoever has one sends what TakeRequests gives, and passes on what comes
// to Receive. Thread-compatible.
class BlobFetcher {
 public:
  struct Options {
    std::string folder;  // absolute; made, and emptied
    int64_t disk_reserve = DiskLimits::kUsualReserve;
    // Above this, those that no attempt reads go, the longest unused first.
    int64_t max_kept_bytes = int64_t{4} << 30;
    size_t max_at_once = 4;
    absl::Duration ask_again = absl::Seconds(5);
    const Clock* clock = &Clock::System();  // outlives this
  };
  static absl::StatusOr<std::unique_ptr<BlobFetcher>> Create(Options options);

  // The attempt reads these, until Release. Whether all are here; otherwise TakeReady has the
  // attempt later. Each is a Sha256.
  bool Acquire(planner::AttemptId attempt, const std::vector<std::string>& blobs);
  void Release(planner::AttemptId attempt);

  void Receive(const kartograph::mesos::BlobPart& part);

  // Attempts that Acquire has let wait, once each: what they read is here, or will not come.
  // NotFound: the service does not have it; other errors are those of this host.
  struct Ready {
    planner::AttemptId attempt;
    absl::Status status;
  };
  std::vector<Ready> TakeReady();

  // What to send now.
  std::vector<kartograph::mesos::BlobRequest> TakeRequests();
  // When TakeRequests has something.
  SteadyTime NextRequest() const;

 private:
  struct Blob {
    int64_t size = 0;
    bool here = false;
    int64_t received = 0;
    Sha256 digest;
    Descriptor draft;
    SteadyTime ask_at = SteadyTime::InfinitePast();
    absl::flat_hash_set<uint64_t> attempts;  // that read it
    uint64_t used = 0;                       // when last, in order
  };
  struct Reader {
    std::vector<std::string> blobs;
    bool waits = false;
  };

  BlobFetcher(Options options, Descriptor folder);
  absl::Status Write(const std::string& id, Blob* blob, const kartograph::mesos::BlobPart& part);
  absl::Status Finish(const std::string& id, Blob* blob);
  // Ends the fetching, and the waiting of those who read it.
  void Fail(const std::string& id, const absl::Status& status);
  bool IsHere(const Reader& reader) const;
  void MakeRoom();
  static std::string DraftName(const std::string& id) { return id + ".part"; }

  const Options options_;
  const Descriptor folder_;
  DiskReserve reserve_;
  std::map<std::string, Blob> blobs_;  // fetched or to be fetched
  absl::flat_hash_map<uint64_t, Reader> readers_;
  std::vector<Ready> ready_;
  int64_t kept_bytes_ = 0;
  uint64_t uses_ = 0;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_BLOB_FETCHER_H_
