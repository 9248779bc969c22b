#include "executor/runner/host_report.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/descriptor.h"

namespace kartograph::executor {
namespace {

std::string ReadFile(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[16 << 10];
  ssize_t bytes = 0;
  while (file.ok() && (bytes = read(file.get(), buffer, sizeof(buffer))) > 0) {
    text.append(buffer, static_cast<size_t>(bytes));
  }
  return text;
}

std::vector<absl::string_view> Words(absl::string_view line) {
  return absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
}

// Of the word at `index`; 0 where it is missing or not a number.
uint64_t Number(const std::vector<absl::string_view>& words, size_t index) {
  uint64_t number = 0;
  return index < words.size() && absl::SimpleAtoi(words[index], &number) ? number : 0;
}

void ReadProcessors(const std::string& text, HostReport* report) {
  const absl::Duration tick = absl::Seconds(1) / sysconf(_SC_CLK_TCK);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, "cpu")) continue;
    if (!absl::StartsWith(line, "cpu ")) {
      ++report->cpus;
      continue;
    }
    // cpu user nice system idle iowait irq softirq ...
    const std::vector<absl::string_view> words = Words(line);
    auto time = [&](size_t index) { return static_cast<double>(Number(words, index)) * tick; };
    report->cpu_user = time(1) + time(2);
    report->cpu_system = time(3) + time(6) + time(7);
    report->cpu_idle = time(4);
    report->cpu_wait = time(5);
  }
}

void ReadMemory(const std::string& text, HostReport* report) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> words = Words(line);
    if (words.empty()) continue;
    if (words[0] == "MemTotal:") report->ram_bytes = Number(words, 1) << 10;
    if (words[0] == "MemAvailable:") report->ram_available_bytes = Number(words, 1) << 10;
  }
}

void ReadNetwork(const std::string& text, HostReport* report) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    // The name may touch the first figure.
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (parts.second.empty() || absl::StripAsciiWhitespace(parts.first) == "lo") continue;
    const std::vector<absl::string_view> words = Words(parts.second);
    report->received_bytes += Number(words, 0);
    report->sent_bytes += Number(words, 8);
  }
}

}  // namespace

HostReport ReadHostReport(const std::string& proc, const std::string& folder) {
  HostReport report;
  report.time = absl::Now();
  ReadProcessors(ReadFile(absl::StrCat(proc, "/stat")), &report);
  ReadMemory(ReadFile(absl::StrCat(proc, "/meminfo")), &report);
  ReadNetwork(ReadFile(absl::StrCat(proc, "/net/dev")), &report);
  const std::string load = ReadFile(absl::StrCat(proc, "/loadavg"));
  if (!absl::SimpleAtod(load.substr(0, load.find(' ')), &report.load)) report.load = 0;
  struct statvfs disk;
  if (statvfs(folder.c_str(), &disk) == 0) {
    report.disk_bytes = uint64_t{disk.f_blocks} * disk.f_frsize;
    report.disk_free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
  }
  return report;
}

}  // namespace kartograph::executor
