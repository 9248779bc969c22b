#include "executor/agent/session_record.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/small_file.h"

namespace kartograph::executor {
namespace {

constexpr char kMagic[8] = {'K', 'r', 't', 'g', 's', 'e', 's', '1'};

struct Header {
  char magic[8];
  int32_t agent;
  char scope[76];  // within which a number names one process: boot and pid namespace
  char cgroup_parent[4000];
};
struct Slot {
  int32_t leader;  // 0: free
  int32_t reserved;
  uint64_t earliest_start;
  uint64_t latest_start;
  uint64_t attempt;
};
static_assert(sizeof(Header) == 4088 && sizeof(Slot) == 32);

std::string Scope() {
  char pid_namespace[32] = {};
  if (readlink("/proc/self/ns/pid", pid_namespace, sizeof(pid_namespace) - 1) < 0) return "";
  std::string scope =
      absl::StrCat(ReadSmallFile("/proc/sys/kernel/random/boot_id").value_or(""), pid_namespace);
  scope.resize(sizeof(Header::scope), '\0');
  return scope;
}

}  // namespace

SessionRecord::Contents SessionRecord::Read(const std::string& path) {
  Contents contents;
  absl::StatusOr<std::string> file = ReadFile(path, size_t{256} << 20);
  if (!file.ok() || file->size() < sizeof(Header)) return contents;
  Header header;
  memcpy(&header, file->data(), sizeof(header));
  if (memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 ||
      absl::string_view(header.scope, sizeof(header.scope)) != Scope()) {
    return contents;
  }
  contents.agent = header.agent;
  contents.cgroup_parent.assign(header.cgroup_parent,
                                strnlen(header.cgroup_parent, sizeof(header.cgroup_parent)));
  for (size_t at = sizeof(Header); at + sizeof(Slot) <= file->size(); at += sizeof(Slot)) {
    Slot slot;
    memcpy(&slot, file->data() + at, sizeof(slot));
    if (slot.leader <= 0) continue;
    contents.sessions.push_back({slot.leader, slot.earliest_start, slot.latest_start});
  }
  return contents;
}

absl::StatusOr<std::unique_ptr<SessionRecord>> SessionRecord::Create(
    const std::string& path, absl::string_view cgroup_parent) {
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.ok()) return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  // Before there is anything in it, and until the descriptor is closed, which children do as they
  // become programs.
  flock(file.get(), LOCK_EX | LOCK_NB);
  Header header = {};
  memcpy(header.magic, kMagic, sizeof(kMagic));
  header.agent = getpid();
  const std::string scope = Scope();
  memcpy(header.scope, scope.data(), scope.size());
  memcpy(header.cgroup_parent, cgroup_parent.data(),
         std::min(cgroup_parent.size(), sizeof(header.cgroup_parent) - 1));
  if (pwrite(file.get(), &header, sizeof(header), 0) != sizeof(header)) {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  }
  return std::unique_ptr<SessionRecord>(new SessionRecord(std::move(file)));
}

bool SessionRecord::IsHeld(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  return !file.ok() || flock(file.get(), LOCK_SH | LOCK_NB) != 0;
}

bool SessionRecord::WriteSlot(size_t index, const Session& session) {
  Slot slot = {};
  slot.leader = session.leader;
  slot.earliest_start = session.earliest_start;
  slot.latest_start = session.latest_start;
  const auto at = static_cast<off_t>(sizeof(Header) + index * sizeof(Slot));
  return pwrite(file_.get(), &slot, sizeof(slot), at) == sizeof(slot);
}

void SessionRecord::Add(planner::AttemptId attempt, const Session& session) {
  auto [it, is_new] = slots_.try_emplace(attempt.value, used_);
  if (is_new && !free_.empty()) {
    it->second = free_.back();
    free_.pop_back();
  } else if (is_new) {
    ++used_;
  }
  WriteSlot(it->second, session);
}

void SessionRecord::Remove(planner::AttemptId attempt) {
  auto it = slots_.find(attempt.value);
  if (it == slots_.end()) return;
  WriteSlot(it->second, {});
  free_.push_back(it->second);
  slots_.erase(it);
}

uint64_t SessionRecord::NowTicks() {
  static const auto ticks_per_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * ticks_per_second +
         static_cast<uint64_t>(now.tv_nsec) * ticks_per_second / 1'000'000'000;
}

}  // namespace kartograph::executor
