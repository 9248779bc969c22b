#include "executor/runner/process_table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/descriptor.h"
#include "base/pidfd.h"
#include "base/small_file.h"

namespace kartograph::executor {
namespace {

std::optional<Process> ParseStat(absl::string_view text) {
  static const uint64_t page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  Process process;
  // The name is in parentheses and may contain anything, parentheses too.
  size_t open = text.find('(');
  size_t close = text.rfind(')');
  if (open == absl::string_view::npos || close == absl::string_view::npos || close < open) {
    return std::nullopt;
  }
  if (!absl::SimpleAtoi(text.substr(0, open), &process.pid)) return std::nullopt;
  // Fields from the third on; their numbers are those of proc(5).
  int number = 3;
  for (absl::string_view field :
       absl::StrSplit(text.substr(close + 1), absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    bool good = true;
    switch (number) {
      case 3:
        process.zombie = field == "Z" || field == "X" || field == "x";
        break;
      case 4:
        good = absl::SimpleAtoi(field, &process.parent);
        break;
      case 5:
        good = absl::SimpleAtoi(field, &process.group);
        break;
      case 6:
        good = absl::SimpleAtoi(field, &process.session);
        break;
      case 22:
        good = absl::SimpleAtoi(field, &process.start_ticks);
        break;
      case 24:
        good = absl::SimpleAtoi(field, &process.rss_bytes);
        process.rss_bytes *= page_bytes;
        break;
    }
    if (!good) return std::nullopt;
    if (number == 24) return process;
    ++number;
  }
  return std::nullopt;
}

std::vector<pid_t> ParsePids(absl::string_view text) {
  std::vector<pid_t> pids;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipWhitespace())) {
    pid_t pid;
    if (absl::SimpleAtoi(word, &pid)) pids.push_back(pid);
  }
  return pids;
}

// Into a buffer that is large enough for any stat file.
ssize_t ReadInto(int folder, const char* path, char* buffer, size_t size) {
  int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t bytes = read(fd, buffer, size);
  close(fd);
  return bytes;
}

}  // namespace

std::optional<std::vector<Process>> ScanProcesses() {
  DIR* folder = opendir("/proc");
  if (folder == nullptr) return std::nullopt;
  std::vector<Process> processes;
  bool complete = true;
  char path[300];
  char buffer[2048];
  while (struct dirent* entry = readdir(folder)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    snprintf(path, sizeof(path), "%s/stat", entry->d_name);
    ssize_t bytes = ReadInto(dirfd(folder), path, buffer, sizeof(buffer));
    if (bytes < 0 && errno != ENOENT && errno != ESRCH) complete = false;
    if (bytes <= 0) continue;
    if (auto process = ParseStat(absl::string_view(buffer, bytes))) processes.push_back(*process);
  }
  closedir(folder);
  if (!complete) return std::nullopt;
  return processes;
}

std::optional<Process> ReadProcess(pid_t pid) {
  auto text = ReadSmallFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!text.has_value()) return std::nullopt;
  return ParseStat(*text);
}

bool SignalProcess(const Process& seen, int signal) {
  const Descriptor pidfd = OpenPidfd(seen.pid);
  if (!pidfd.ok()) return false;
  // The descriptor refers to the process that has the number now, so this reads the same process.
  const std::optional<Process> now = ReadProcess(seen.pid);
  if (!now.has_value() || now->start_ticks != seen.start_ticks) {
    errno = ESRCH;
    return false;
  }
  return SendSignal(pidfd, signal);
}

std::optional<std::vector<pid_t>> ReadChildren() {
  auto text = ReadSmallFile(absl::StrCat("/proc/self/task/", syscall(SYS_gettid), "/children"));
  if (!text.has_value()) return std::nullopt;
  return ParsePids(*text);
}

std::vector<pid_t> ReadChildrenOf(pid_t pid) {
  return ParsePids(
      ReadSmallFile(absl::StrCat("/proc/", pid, "/task/", pid, "/children")).value_or(""));
}

std::optional<std::string> ReadEnvironmentVariable(pid_t pid, absl::string_view name) {
  auto text = ReadSmallFile(absl::StrCat("/proc/", pid, "/environ"));
  if (!text.has_value()) return std::nullopt;
  for (absl::string_view entry : absl::StrSplit(*text, '\0')) {
    if (entry.size() > name.size() && entry[name.size()] == '=' &&
        entry.substr(0, name.size()) == name) {
      return std::string(entry.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

std::optional<uint64_t> ReadProportionalMemory(pid_t pid) {
  auto text = ReadSmallFile(absl::StrCat("/proc/", pid, "/smaps_rollup"));
  if (!text.has_value()) return std::nullopt;
  std::optional<uint64_t> all;
  std::optional<uint64_t> kept;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    uint64_t kilobytes = 0;
    if (words.size() < 2 || !absl::SimpleAtoi(words[1], &kilobytes)) continue;
    if (words[0] == "Pss:") all = kilobytes << 10;
    if (words[0] == "Pss_Anon:" || words[0] == "Pss_Shmem:") {
      kept = kept.value_or(0) + (kilobytes << 10);
    }
  }
  return kept.has_value() ? kept : all;  // a kernel before 5.9 does not tell them apart
}

uint64_t ReadMemoryOf(const std::vector<Relative>& tree) {
  uint64_t used = 0;
  for (const Relative& process : tree) {
    // After vfork (which posix_spawn and Python's subprocess use) a process has its parent's memory
    // itself until it executes a program. Asked first, as it may do that meanwhile.
    const bool is_parents = syscall(SYS_kcmp, process.pid, process.parent, KCMP_VM, 0UL, 0UL) == 0;
    if (!is_parents) used += ReadProportionalMemory(process.pid).value_or(0);
  }
  return used;
}

uint64_t ReadAnonymousMemory(pid_t pid) {
  static const uint64_t page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const std::string text = ReadSmallFile(absl::StrCat("/proc/", pid, "/statm")).value_or("");
  const std::vector<absl::string_view> pages = absl::StrSplit(text, ' ');
  uint64_t resident = 0;
  uint64_t of_files = 0;
  if (pages.size() < 3 || !absl::SimpleAtoi(pages[1], &resident) ||
      !absl::SimpleAtoi(pages[2], &of_files)) {
    return 0;
  }
  return resident > of_files ? (resident - of_files) * page_bytes : 0;
}

ProcessUsage ReadUsage(pid_t pid) {
  ProcessUsage usage;
  // Exact for the process itself; for its children there are only clock ticks.
  clockid_t clock;
  struct timespec own = {};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &own) != 0) return usage;
  usage.cpu_time = absl::DurationFromTimespec(own);
  const std::string stat = ReadSmallFile(absl::StrCat("/proc/", pid, "/stat")).value_or("");
  const size_t close = stat.rfind(')');
  if (close == std::string::npos) return usage;
  static const int64_t ticks_a_second = sysconf(_SC_CLK_TCK);
  static const int64_t page_bytes = sysconf(_SC_PAGESIZE);
  // From the third field on, as numbered in proc(5).
  int number = 3;
  for (absl::string_view field :
       absl::StrSplit(absl::string_view(stat).substr(close + 1), ' ', absl::SkipEmpty())) {
    int64_t value = 0;
    if (number > 3 && !absl::SimpleAtoi(field, &value)) return usage;
    if (number == 16 || number == 17) usage.cpu_time += absl::Seconds(1) * value / ticks_a_second;
    if (number == 20) usage.threads = static_cast<int>(value);
    if (number == 24) usage.rss_bytes = static_cast<uint64_t>(value * page_bytes);
    if (++number > 24) break;
  }
  return usage;
}

uint64_t ReadPeakMemory(pid_t pid) {
  const std::string status = ReadSmallFile(absl::StrCat("/proc/", pid, "/status")).value_or("");
  constexpr absl::string_view kKey = "VmHWM:";
  const size_t at = status.find(std::string(kKey));
  if (at == std::string::npos) return 0;
  const std::vector<absl::string_view> words = absl::StrSplit(
      absl::string_view(status).substr(at + kKey.size(), 40), ' ', absl::SkipWhitespace());
  uint64_t kilobytes = 0;
  return !words.empty() && absl::SimpleAtoi(words[0], &kilobytes) ? kilobytes << 10 : 0;
}

bool ResetPeakMemory(pid_t pid) {
  const Descriptor file(
      open(absl::StrCat("/proc/", pid, "/clear_refs").c_str(), O_WRONLY | O_CLOEXEC));
  return file.ok() && write(file.get(), "5", 1) == 1;
}

bool HasChildren(pid_t pid, int threads) {
  const auto made_by = [&](absl::string_view thread) {
    const auto text = ReadSmallFile(absl::StrCat("/proc/", pid, "/task/", thread, "/children"));
    return !text.has_value() || !text->empty();
  };
  if (threads == 1) return made_by(absl::StrCat(pid));
  // Children are listed with the thread that made them.
  DIR* folder = opendir(absl::StrCat("/proc/", pid, "/task").c_str());
  if (folder == nullptr) return true;
  bool found = false;
  while (struct dirent* entry = readdir(folder)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    found = found || made_by(entry->d_name);
  }
  closedir(folder);
  return found;
}

}  // namespace kartograph::executor
