#include "service/blob_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/file_io.h"
#include "planner/problems.h"

namespace kartograph::service {
namespace {

constexpr size_t kIdLength = 64;
constexpr absl::string_view kDraftPrefix = "upload.";
// How long a blob stays that no graph refers to.
constexpr absl::Duration kUnusedFor = absl::Hours(24);
// Further in the future a blob cannot have been used: the clock was wrong then.
constexpr absl::Duration kClockError = absl::Hours(1);
constexpr size_t kLookedAtAtOnce = 1000;
// Read by one question for missing blobs, to see whether they are whole.
constexpr int64_t kReadAtOnce = int64_t{1} << 30;

absl::Status Wrong(absl::string_view field, std::string value, std::string message) {
  return planner::ProblemsToStatus({{std::string(field), std::move(value), std::move(message)}});
}

absl::StatusOr<std::string> DigestOf(int file) {
  Sha256 digest;
  std::vector<char> buffer(256 << 10);
  while (true) {
    const ssize_t bytes = read(file, buffer.data(), buffer.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return ErrnoStatus(errno, "cannot read it");
    if (bytes == 0) return digest.Hex();
    digest.Add(absl::string_view(buffer.data(), static_cast<size_t>(bytes)));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(Options options) {
  const std::string& path = options.folder;
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("cannot make the folder of blobs ", path));
  }
  Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok()) {
    return ErrnoStatus(errno, absl::StrCat("cannot open the folder of blobs ", path));
  }
  std::unique_ptr<BlobStore> store(new BlobStore(std::move(options), std::move(folder)));
  const absl::StatusOr<std::vector<std::string>> names = store->List();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (absl::StartsWith(name, kDraftPrefix)) unlinkat(store->folder_.get(), name.c_str(), 0);
  }
  return store;
}

BlobStore::BlobStore(Options options, Descriptor folder)
    : options_(std::move(options)),
      folder_(std::move(folder)),
      reserve_(options_.folder, options_.disk_reserve, options_.clock),
      uploads_(options_.max_uploads),
      uploaded_bytes_(std::max(options_.max_uploaded_bytes, options_.max_blob_bytes)) {}

absl::StatusOr<std::vector<std::string>> BlobStore::List() const {
  Descriptor fd(openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* const entries = fd.ok() ? fdopendir(fd.get()) : nullptr;
  if (entries == nullptr) return ErrnoStatus(errno, "cannot list the folder of blobs");
  fd.Release();
  std::vector<std::string> names;
  while (const dirent* entry = readdir(entries)) names.emplace_back(entry->d_name);
  closedir(entries);
  return names;
}

absl::Status BlobStore::SyncFolder() const {
  if (fsync(folder_.get()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("cannot write ", options_.folder));
}

// --- what is kept ---

bool BlobStore::Keep(const std::string& id) {
  if (!IsBlobId(id)) return false;
  const MutexLock lock(&mutex_);
  struct stat info;
  const bool there =
      fstatat(folder_.get(), id.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode);
  if (!there) {
    known_.erase(id);
    return false;
  }
  Known& known = known_[id];
  if (known.verified && known.size != info.st_size) return false;
  known.size = info.st_size;
  Touch(id);
  return true;
}

void BlobStore::Touch(const std::string& id) {
  const Instant now = options_.clock->Now();
  known_[id].used = now.steady;
  const struct timespec times[2] = {{0, UTIME_OMIT}, absl::ToTimespec(now.wall)};
  if (utimensat(folder_.get(), id.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    // A full disk may refuse it; until the next start the steady clock counts.
  }
}

absl::StatusOr<bool> BlobStore::IsWhole(const std::string& id, int64_t& budget) {
  if (!Keep(id)) {
    // What has another size than it had is of no use.
    RemoveDamaged(id, 0);
    return false;
  }
  {
    const MutexLock lock(&mutex_);
    if (known_[id].verified) return true;
  }
  const Descriptor file(
      openat(folder_.get(), id.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.ok() && errno == ENOENT) return false;
  struct stat info;
  if (!file.ok() || fstat(file.get(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot read the blob ", id));
  }
  if (info.st_size > budget) return true;
  budget -= info.st_size;
  const absl::StatusOr<std::string> digest = DigestOf(file.get());
  if (!digest.ok() || *digest != id) {
    RemoveDamaged(id, info.st_ino);
    return false;
  }
  if (absl::Status synced = SyncFolder(); !synced.ok()) return synced;
  const MutexLock lock(&mutex_);
  Known& known = known_[id];
  known.size = info.st_size;
  known.verified = true;
  return true;
}

void BlobStore::RemoveDamaged(const std::string& id, uint64_t inode) {
  const MutexLock lock(&mutex_);
  struct stat info;
  if (fstatat(folder_.get(), id.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
  const auto known = known_.find(id);
  const bool other_size =
      known != known_.end() && known->second.verified && known->second.size != info.st_size;
  // It may have been put again meanwhile.
  if (info.st_ino != inode && !other_size) return;
  spdlog::warn("the blob {}/{} is damaged: it is removed, and clients put it again",
               options_.folder, id);
  unlinkat(folder_.get(), id.c_str(), 0);
  known_.erase(id);
}

absl::StatusOr<std::vector<std::string>> BlobStore::Missing(absl::Span<const std::string> ids) {
  std::vector<std::string> missing;
  int64_t budget = kReadAtOnce;
  for (const std::string& id : ids) {
    const absl::StatusOr<bool> whole = IsWhole(id, budget);
    if (!whole.ok()) return whole.status();
    if (!*whole) missing.push_back(id);
  }
  return missing;
}

// --- uploads ---

absl::StatusOr<std::unique_ptr<BlobStore::Upload>> BlobStore::Begin(const std::string& id,
                                                                    int64_t size) {
  if (!IsBlobId(id)) return Wrong("blob.blob_id", id.substr(0, 2 * kIdLength), kBlobIdRule);
  if (size < 0) return Wrong("blob.size", absl::StrCat(size), "must not be negative");
  if (size > options_.max_blob_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("the blob has ", size, " bytes; at most ",
                                                     options_.max_blob_bytes,
                                                     " are taken (kartographd --max-blob)"));
  }
  int64_t budget = std::numeric_limits<int64_t>::max();
  const absl::StatusOr<bool> whole = IsWhole(id, budget);
  if (!whole.ok()) return whole.status();
  if (*whole) {
    const MutexLock lock(&mutex_);
    // With another size it is sent, and refused in the end.
    const auto known = known_.find(id);
    if (known != known_.end() && known->second.size == size) return nullptr;
  }
  std::unique_ptr<Upload> upload(new Upload(this, id, size));
  if (!upload->open_.Add(uploads_, 1)) {
    return absl::ResourceExhaustedError(
        absl::StrCat(uploads_.limit(), " blobs are already being put; try again"));
  }
  if (!upload->bytes_.Add(uploaded_bytes_, size)) {
    return absl::ResourceExhaustedError(absl::StrCat("the blobs that are being put take all of ",
                                                     uploaded_bytes_.limit(), " bytes; try again"));
  }
  if (reserve_.Reached(size)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there is no room for the blob: ", reserve_.ToString(), "; make some"));
  }
  upload->draft_ = absl::StrCat(kDraftPrefix, ++drafts_);
  upload->file_.Reset(openat(folder_.get(), upload->draft_.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!upload->file_.ok()) {
    const int error = errno;
    upload->draft_.clear();
    return ErrnoStatus(error, absl::StrCat("cannot make a file in ", options_.folder));
  }
  return upload;
}

BlobStore::Upload::~Upload() {
  if (!draft_.empty()) unlinkat(store_.folder_.get(), draft_.c_str(), 0);
}

absl::Status BlobStore::Upload::Append(absl::string_view data) {
  const auto bytes = static_cast<int64_t>(data.size());
  if (bytes > size_ - received_) {
    return Wrong("blob.size", absl::StrCat(size_), "is less than what was sent");
  }
  if (store_.reserve_.Reached(bytes)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there is no room for the blob: ", store_.reserve_.ToString(), "; make some"));
  }
  digest_.Add(data);
  received_ += bytes;
  if (WriteAll(file_.get(), data)) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("cannot write into ", store_.options_.folder));
}

absl::Status BlobStore::Upload::Finish() {
  if (received_ != size_) {
    return Wrong("blob.size", absl::StrCat(size_),
                 absl::StrCat("is more than what was sent, ", received_, " bytes"));
  }
  if (const std::string digest = digest_.Hex(); digest != id_) {
    return Wrong("blob.blob_id", id_,
                 absl::StrCat("is not the SHA-256 of what was sent, which is ", digest));
  }
  const int folder = store_.folder_.get();
  const auto fail = [&] {
    return ErrnoStatus(errno, absl::StrCat("cannot write into ", store_.options_.folder));
  };
  if (fchmod(file_.get(), 0444) != 0 || fsync(file_.get()) != 0) return fail();
  {
    const MutexLock lock(&store_.mutex_);
    if (renameat(folder, draft_.c_str(), folder, id_.c_str()) != 0) return fail();
    draft_.clear();
    store_.known_[id_] = {.size = size_, .verified = false, .used = {}};
    store_.Touch(id_);
  }
  if (absl::Status synced = store_.SyncFolder(); !synced.ok()) return synced;
  const MutexLock lock(&store_.mutex_);
  store_.known_[id_].verified = true;
  return absl::OkStatus();
}

// --- removal ---

bool BlobStore::MayGo(const std::string& id, const Instant& now) {
  const auto known = known_.find(id);
  if (known != known_.end() && now.steady - known->second.used <= kUnusedFor) return false;
  struct stat info;
  if (fstatat(folder_.get(), id.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
  const absl::Time used = absl::TimeFromTimespec(info.st_mtim);
  if (used > now.wall + kClockError) Touch(id);
  return now.wall - used > kUnusedFor;
}

absl::StatusOr<bool> BlobStore::Sweep(storage::HistoryReader& history) {
  if (to_look_at_.empty()) {
    absl::StatusOr<std::vector<std::string>> names = List();
    if (!names.ok()) return names.status();
    to_look_at_ = *std::move(names);
  }
  const Instant now = options_.clock->Now();
  std::vector<std::string> old;
  for (size_t i = 0; i < kLookedAtAtOnce && !to_look_at_.empty(); ++i) {
    std::string name = std::move(to_look_at_.back());
    to_look_at_.pop_back();
    if (!IsBlobId(name)) continue;
    const MutexLock lock(&mutex_);
    if (MayGo(name, now)) old.push_back(std::move(name));
  }
  const absl::StatusOr<std::vector<std::string>> unused = history.UnusedBlobs(old);
  if (!unused.ok()) return unused.status();
  for (const std::string& id : *unused) {
    const MutexLock lock(&mutex_);
    // Its use may have begun since the history was asked.
    if (!MayGo(id, now)) continue;
    unlinkat(folder_.get(), id.c_str(), 0);
    known_.erase(id);
  }
  return !to_look_at_.empty();
}

}  // namespace kartograph::service
