#include "executor/local/leftovers.h"

#include <signal.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/runner/process_table.h"

namespace kartograph::executor::local {
namespace {

// Living processes that have to go.
std::vector<Process> FindLeftovers(const std::string& prefix) {
  const std::vector<Process> processes = ScanProcesses().value_or(std::vector<Process>());
  absl::flat_hash_map<pid_t, pid_t> parents;
  for (const Process& process : processes) parents[process.pid] = process.parent;
  absl::flat_hash_set<pid_t> spared;
  for (pid_t pid = getpid(); pid > 0 && spared.insert(pid).second;) {
    auto parent = parents.find(pid);
    if (parent == parents.end()) break;
    pid = parent->second;
  }
  absl::flat_hash_set<pid_t> doomed, sessions;
  for (const Process& process : processes) {
    if (spared.contains(process.pid)) continue;
    auto result = ReadEnvironmentVariable(process.pid, "KARTOGRAPH_RESULT");
    if (!result.has_value() || !absl::StartsWith(*result, prefix)) continue;
    doomed.insert(process.pid);
    if (process.session == process.pid) sessions.insert(process.session);
  }
  std::vector<Process> found;
  for (bool grown = !doomed.empty(); grown;) {
    grown = false;
    for (const Process& process : processes) {
      if (spared.contains(process.pid) || doomed.contains(process.pid)) continue;
      if (doomed.contains(process.parent) || sessions.contains(process.session)) {
        grown = doomed.insert(process.pid).second || grown;
      }
    }
  }
  for (const Process& process : processes) {
    if (doomed.contains(process.pid) && !process.zombie) found.push_back(process);
  }
  return found;
}

}  // namespace

int KillLeftovers(const std::string& sandbox_root, absl::Duration patience) {
  absl::Time until = absl::Now() + patience;
  absl::flat_hash_set<std::pair<pid_t, uint64_t>> killed;
  while (true) {
    std::vector<Process> found = FindLeftovers(absl::StrCat(sandbox_root, "/"));
    if (found.empty() || absl::Now() >= until) return static_cast<int>(killed.size());
    for (const Process& process : found) {
      SignalProcess(process, SIGKILL);
      killed.insert({process.pid, process.start_ticks});
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
}

}  // namespace kartograph::executor::local
