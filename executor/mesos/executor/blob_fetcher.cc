#include "executor/mesos/executor/blob_fetcher.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/file_io.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::BlobPart;
using kartograph::mesos::BlobRequest;
using planner::AttemptId;

absl::StatusOr<std::unique_ptr<BlobFetcher>> BlobFetcher::Create(Options options) {
  std::error_code error;
  std::filesystem::remove_all(options.folder, error);
  std::filesystem::create_directories(options.folder, error);
  Descriptor folder(open(options.folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok()) return ErrnoStatus(errno, absl::StrCat("cannot make ", options.folder));
  return std::unique_ptr<BlobFetcher>(new BlobFetcher(std::move(options), std::move(folder)));
}

BlobFetcher::BlobFetcher(Options options, Descriptor folder)
    : options_(std::move(options)),
      folder_(std::move(folder)),
      reserve_(options_.folder, options_.disk_reserve, options_.clock) {}

bool BlobFetcher::IsHere(const Reader& reader) const {
  return std::all_of(reader.blobs.begin(), reader.blobs.end(),
                     [this](const std::string& id) { return blobs_.at(id).here; });
}

bool BlobFetcher::Acquire(AttemptId attempt, const std::vector<std::string>& blobs) {
  Release(attempt);
  Reader& reader = readers_[attempt.value];
  reader.blobs = blobs;
  for (const std::string& id : blobs) {
    Blob& blob = blobs_[id];
    blob.attempts.insert(attempt.value);
    blob.used = ++uses_;
  }
  reader.waits = !IsHere(reader);
  return !reader.waits;
}

void BlobFetcher::Release(AttemptId attempt) {
  auto it = readers_.find(attempt.value);
  if (it == readers_.end()) return;
  for (const std::string& id : it->second.blobs) {
    auto blob = blobs_.find(id);
    if (blob == blobs_.end()) continue;
    blob->second.attempts.erase(attempt.value);
    if (blob->second.here || !blob->second.attempts.empty()) continue;
    // Nobody wants it any more.
    unlinkat(folder_.get(), DraftName(id).c_str(), 0);
    blobs_.erase(blob);
  }
  readers_.erase(it);
  MakeRoom();
}

void BlobFetcher::MakeRoom() {
  while (kept_bytes_ > options_.max_kept_bytes) {
    auto oldest = blobs_.end();
    for (auto it = blobs_.begin(); it != blobs_.end(); ++it) {
      if (!it->second.here || !it->second.attempts.empty()) continue;
      if (oldest == blobs_.end() || it->second.used < oldest->second.used) oldest = it;
    }
    if (oldest == blobs_.end()) return;
    unlinkat(folder_.get(), oldest->first.c_str(), 0);
    kept_bytes_ -= oldest->second.size;
    blobs_.erase(oldest);
  }
}

std::vector<BlobRequest> BlobFetcher::TakeRequests() {
  std::vector<BlobRequest> requests;
  const SteadyTime now = options_.clock->SteadyNow();
  size_t fetching = 0;
  for (auto& [id, blob] : blobs_) {
    if (blob.here) continue;
    if (++fetching > options_.max_at_once) break;
    if (blob.ask_at > now) continue;
    blob.ask_at = now + options_.ask_again;
    BlobRequest& request = requests.emplace_back();
    request.set_blob_id(id);
    request.set_offset(blob.received);
  }
  return requests;
}

SteadyTime BlobFetcher::NextRequest() const {
  SteadyTime next = SteadyTime::InfiniteFuture();
  size_t fetching = 0;
  for (const auto& [id, blob] : blobs_) {
    if (blob.here) continue;
    if (++fetching > options_.max_at_once) break;
    next = std::min(next, blob.ask_at);
  }
  return next;
}

void BlobFetcher::Receive(const BlobPart& part) {
  auto it = blobs_.find(part.blob_id());
  if (it == blobs_.end() || it->second.here) return;
  if (part.not_kept()) {
    return Fail(part.blob_id(), absl::NotFoundError("is not kept (any more): put it again"));
  }
  // Another one was asked for since, or asked for twice.
  if (part.offset() != it->second.received) return;
  const absl::Status written = Write(part.blob_id(), &it->second, part);
  if (!written.ok()) Fail(part.blob_id(), written);
}

absl::Status BlobFetcher::Write(const std::string& id, Blob* blob, const BlobPart& part) {
  const absl::string_view data = part.data();
  const auto bytes = static_cast<int64_t>(data.size());
  if (part.size() < 0 || (blob->draft.ok() && part.size() != blob->size) ||
      bytes > part.size() - blob->received || (bytes == 0 && blob->received < part.size())) {
    return absl::DataLossError("came in parts that do not fit together");
  }
  if (reserve_.Reached(bytes)) return absl::ResourceExhaustedError(reserve_.ToString());
  if (!blob->draft.ok()) {
    blob->size = part.size();
    blob->draft.Reset(openat(folder_.get(), DraftName(id).c_str(),
                             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  }
  if (!blob->draft.ok() || !WriteAll(blob->draft.get(), data)) {
    return ErrnoStatus(errno, "cannot be written");
  }
  blob->digest.Add(data);
  blob->received += bytes;
  blob->ask_at = SteadyTime::InfinitePast();
  return blob->received < blob->size ? absl::OkStatus() : Finish(id, blob);
}

absl::Status BlobFetcher::Finish(const std::string& id, Blob* blob) {
  if (blob->digest.Hex() != id) return absl::DataLossError("has another content than it should");
  blob->draft.Reset();
  if (renameat(folder_.get(), DraftName(id).c_str(), folder_.get(), id.c_str()) != 0) {
    return ErrnoStatus(errno, "cannot be kept");
  }
  blob->here = true;
  kept_bytes_ += blob->size;
  for (const uint64_t attempt : blob->attempts) {
    Reader& reader = readers_[attempt];
    if (!reader.waits || !IsHere(reader)) continue;
    reader.waits = false;
    ready_.push_back({{attempt}, absl::OkStatus()});
  }
  MakeRoom();
  return absl::OkStatus();
}

void BlobFetcher::Fail(const std::string& id, const absl::Status& status) {
  const absl::Status told(status.code(), absl::StrCat("the blob ", id, " ", status.message()));
  const auto attempts = blobs_[id].attempts;
  for (const uint64_t attempt : attempts) {
    if (std::exchange(readers_[attempt].waits, false)) ready_.push_back({{attempt}, told});
    Release({attempt});
  }
}

std::vector<BlobFetcher::Ready> BlobFetcher::TakeReady() { return std::exchange(ready_, {}); }

}  // namespace kartograph::executor::mesos
