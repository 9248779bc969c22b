#include "executor/agent/leftovers.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/small_file.h"
#include "executor/runner/cgroup.h"
#include "executor/runner/process_table.h"

namespace kartograph::executor {
namespace {

using PidSet = absl::flat_hash_set<pid_t>;

// The groups that the agent has made. Another process that has its number now may be an agent too,
// with groups of these names; then nothing is known.
std::vector<std::string> GroupsOf(const SessionRecord::Contents& record) {
  std::vector<std::string> groups;
  if (record.cgroup_parent.empty() || record.agent <= 0) return groups;
  if (record.agent != getpid() && ReadProcess(record.agent).has_value()) return groups;
  const std::string prefix = CgroupNamePrefix(record.agent);
  if (DIR* entries = opendir(record.cgroup_parent.c_str())) {
    while (struct dirent* entry = readdir(entries)) {
      if (!absl::StartsWith(entry->d_name, prefix)) continue;
      groups.push_back(absl::StrCat(record.cgroup_parent, "/", entry->d_name));
    }
    closedir(entries);
  }
  return groups;
}

void AddMembers(const std::string& group, PidSet* pids) {
  const std::string text = ReadSmallFile(absl::StrCat(group, "/cgroup.procs")).value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    pid_t pid;
    if (absl::SimpleAtoi(line, &pid) && pid > 0) pids->insert(pid);
  }
}

// The sessions of the record that are still the same: their leader is, or has gone. A number is not
// given to another process while it names a session.
PidSet SessionsOf(const SessionRecord::Contents& record, const std::vector<Process>& processes) {
  absl::flat_hash_map<pid_t, const SessionRecord::Session*> recorded;
  for (const SessionRecord::Session& session : record.sessions) recorded[session.leader] = &session;
  PidSet sessions;
  for (const Process& process : processes) {
    auto it = recorded.find(process.session);
    if (it == recorded.end() || process.start_ticks + 1 < it->second->earliest_start) continue;
    sessions.insert(process.session);
  }
  for (const Process& process : processes) {
    auto it = recorded.find(process.pid);
    if (it == recorded.end()) continue;
    const bool same = process.start_ticks + 1 >= it->second->earliest_start &&
                      process.start_ticks <= it->second->latest_start + 1;
    if (!same) sessions.erase(process.pid);
  }
  return sessions;
}

// This process and those above it.
PidSet Excluded(const std::vector<Process>& processes) {
  absl::flat_hash_map<pid_t, pid_t> parents;
  for (const Process& process : processes) parents[process.pid] = process.parent;
  PidSet excluded;
  for (pid_t pid = getpid(); pid > 0 && excluded.insert(pid).second;) {
    auto parent = parents.find(pid);
    if (parent == parents.end()) break;
    pid = parent->second;
  }
  return excluded;
}

// Live processes that have to go.
std::vector<Process> FindLeftovers(const std::string& prefix, const SessionRecord::Contents& record,
                                   const std::vector<std::string>& groups) {
  const std::vector<Process> processes = ScanProcesses().value_or(std::vector<Process>());
  const PidSet excluded = Excluded(processes);
  PidSet found, sessions = SessionsOf(record, processes);
  for (const std::string& group : groups) AddMembers(group, &found);
  for (const Process& process : processes) {
    if (excluded.contains(process.pid)) continue;
    auto result = ReadEnvironmentVariable(process.pid, "KARTOGRAPH_RESULT");
    if (!result.has_value() || !absl::StartsWith(*result, prefix)) continue;
    found.insert(process.pid);
    if (process.session == process.pid) sessions.insert(process.session);
  }
  for (bool grown = true; grown;) {
    grown = false;
    for (const Process& process : processes) {
      if (excluded.contains(process.pid) || found.contains(process.pid)) continue;
      if (found.contains(process.parent) || sessions.contains(process.session)) {
        grown = found.insert(process.pid).second || grown;
      }
    }
  }
  std::vector<Process> living;
  for (const Process& process : processes) {
    if (found.contains(process.pid) && !excluded.contains(process.pid) && !process.zombie) {
      living.push_back(process);
    }
  }
  return living;
}

}  // namespace

int KillLeftovers(const std::string& sandbox_root, const SessionRecord::Contents& record,
                  absl::Duration patience) {
  const Clock& clock = Clock::System();
  const SteadyTime until = clock.SteadyNow() + patience;
  const std::vector<std::string> groups = GroupsOf(record);
  absl::flat_hash_set<std::pair<pid_t, uint64_t>> killed;
  while (true) {
    std::vector<Process> found = FindLeftovers(absl::StrCat(sandbox_root, "/"), record, groups);
    if (found.empty() || clock.SteadyNow() >= until) break;
    for (const Process& process : found) {
      if (SignalProcess(process, SIGKILL)) killed.insert({process.pid, process.start_ticks});
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
  for (const std::string& group : groups) rmdir(group.c_str());
  return static_cast<int>(killed.size());
}

}  // namespace kartograph::executor
