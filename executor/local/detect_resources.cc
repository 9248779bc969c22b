#include "executor/local/detect_resources.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/small_file.h"
#include "executor/runner/process_table.h"

namespace kartograph::executor {
namespace {

// Numbers of the first line of a file; one that is not a number ("max") is -1.
std::vector<int64_t> Numbers(const std::string& path) {
  std::vector<int64_t> numbers;
  std::string text = ReadSmallFile(path).value_or("");
  for (absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    int64_t number;
    numbers.push_back(absl::SimpleAtoi(word, &number) ? number : -1);
  }
  return numbers;
}

// The folder of this process in the hierarchy of `controller` ("": version 2), and every one above.
std::vector<std::string> CgroupFolders(absl::string_view controller, absl::string_view mount) {
  std::vector<std::string> folders = {std::string(mount)};
  std::string text = ReadSmallFile("/proc/self/cgroup").value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 ||
        (parts[1] != controller && !absl::StartsWith(parts[1], absl::StrCat(controller, ",")))) {
      continue;
    }
    std::string folder(mount);
    for (absl::string_view name : absl::StrSplit(parts[2], '/', absl::SkipEmpty())) {
      absl::StrAppend(&folder, "/", name);
      folders.push_back(folder);
    }
  }
  return folders;
}

int64_t MilliCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int64_t cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
                                                               : sysconf(_SC_NPROCESSORS_ONLN);
  int64_t milli = std::max<int64_t>(1, cores) * 1000;
  auto limit = [&milli](int64_t quota, int64_t period) {
    if (quota > 0 && period > 0)
      milli = std::min(milli, std::max<int64_t>(1, quota * 1000 / period));
  };
  for (const std::string& folder : CgroupFolders("", "/sys/fs/cgroup")) {
    std::vector<int64_t> max = Numbers(absl::StrCat(folder, "/cpu.max"));
    if (max.size() == 2) limit(max[0], max[1]);
  }
  for (const std::string& folder : CgroupFolders("cpu", "/sys/fs/cgroup/cpu")) {
    std::vector<int64_t> quota = Numbers(absl::StrCat(folder, "/cpu.cfs_quota_us"));
    std::vector<int64_t> period = Numbers(absl::StrCat(folder, "/cpu.cfs_period_us"));
    if (quota.size() == 1 && period.size() == 1) limit(quota[0], period[0]);
  }
  return milli;
}

int64_t MemoryBytes() {
  int64_t bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  auto limit = [&bytes](const std::string& file) {
    std::vector<int64_t> max = Numbers(file);
    if (max.size() == 1 && max[0] > 0) bytes = std::min(bytes, max[0]);
  };
  for (const std::string& folder : CgroupFolders("", "/sys/fs/cgroup")) {
    limit(absl::StrCat(folder, "/memory.max"));
  }
  for (const std::string& folder : CgroupFolders("memory", "/sys/fs/cgroup/memory")) {
    limit(absl::StrCat(folder, "/memory.limit_in_bytes"));
  }
  return bytes;
}

}  // namespace

planner::ResourceVector DetectResources() {
  constexpr int64_t kMiB = 1 << 20;
  planner::ResourceVector resources;
  resources.Set(planner::Resource::Cpu(), planner::Quantity::FromMilli(MilliCores()));
  resources.Set(planner::Resource::Ram(),
                planner::Quantity::Of(MemoryBytes() / 10 * 9 / kMiB * kMiB));
  return resources;
}

}  // namespace kartograph::executor
