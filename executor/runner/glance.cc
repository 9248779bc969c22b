// The part of Runner that looks at the memory of single trees between two surveys.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "executor/runner/process_table.h"
#include "executor/runner/runner.h"

namespace kartograph::executor {
namespace {

// Of one tree; a survey sees the others.
constexpr size_t kMaxProcesses = 64;
// Glances take at most one part in this many of the time.
constexpr int kGlanceShare = 100;

// A process and what is below it, each with its parent before it. Children are listed with the
// thread that made them; of other threads than the first a survey sees them.
std::vector<Relative> TreeOf(std::vector<Relative> tree) {
  for (size_t i = 0; i < tree.size() && tree.size() < kMaxProcesses; ++i) {
    const pid_t parent = tree[i].pid;
    for (pid_t child : ReadChildrenOf(parent)) tree.push_back({child, parent});
  }
  return tree;
}

std::vector<Relative> TreeOf(pid_t root) { return TreeOf(std::vector<Relative>{{root, 0}}); }

}  // namespace

bool Runner::HasMemory(const Attempt& attempt) {
  // Before its program is executed, a process has our memory.
  const bool is_program = attempt.starting == nullptr || attempt.starting->spawner.finished();
  return is_program && !attempt.main_ended;
}

bool Runner::CanBeMeasured(const Attempt& attempt) {
  return IsMeasured(attempt) && HasMemory(attempt) && !attempt.reported.has_value() &&
         attempt.cause == Outcome::kNone;
}

std::vector<std::pair<planner::AttemptId, uint64_t>> Runner::LookAtMemory() {
  // A survey finds whose they are.
  if (HasUnknownChildren()) survey_at_ = std::min(survey_at_, clock_.SteadyNow());
  absl::flat_hash_map<uint64_t, std::vector<Relative>> roots;
  for (const auto& [id, attempt] : attempts_) {
    if (HasMemory(*attempt)) roots[id].push_back({attempt->pid, 0});
  }
  for (const auto& [pid, orphan] : orphans_) {
    if (auto it = roots.find(orphan.attempt); it != roots.end()) it->second.push_back({pid, 0});
  }
  std::vector<std::pair<planner::AttemptId, uint64_t>> memory;
  for (auto& [id, its] : roots) {
    const std::vector<Relative> tree = TreeOf(std::move(its));
    const uint64_t used = tree.size() == 1 ? ReadAnonymousMemory(tree[0].pid) : ReadMemoryOf(tree);
    memory.emplace_back(planner::AttemptId{id}, used);
  }
  return memory;
}

void Runner::Glance(SteadyTime now) {
  glance_at_ = kNever;
  if (measured_ == 0) return;
  for (auto& [id, attempt] : attempts_) {
    if (CanBeMeasured(*attempt)) GlanceAt(attempt.get(), now);
  }
  const absl::Duration cost = clock_.SteadyNow() - now;
  glance_at_ = now + std::max(options_.glance_period, kGlanceShare * cost);
}

void Runner::GlanceAt(Attempt* attempt, SteadyTime now) {
  const std::vector<Relative> tree = TreeOf(attempt->pid);
  // Pages that processes share count for each of them here, so this is what is used or more.
  uint64_t most = 0;
  for (const Relative& process : tree) most += ReadAnonymousMemory(process.pid);
  if (most <= attempt->ram_limit) {
    if (tree.size() == 1) {
      attempt->measured_peak = std::max(attempt->measured_peak, most);
      return;
    }
    // Counting shared pages once takes longer, and is done when it has grown by more than a little.
    if (most <= attempt->glanced + attempt->glanced / 8) return;
  }
  attempt->glanced = std::max(attempt->glanced, most);
  Judge(attempt, tree, now);
}

void Runner::Judge(Attempt* attempt, const std::vector<Relative>& tree, SteadyTime now) {
  const uint64_t limit = attempt->ram_limit;
  uint64_t used = ReadMemoryOf(tree);
  // What one process has left to others while it was read counts twice, but not once more.
  if (limit > 0 && used > limit && tree.size() > 1) used = std::min(used, ReadMemoryOf(tree));
  attempt->measured_peak = std::max(attempt->measured_peak, used);
  if (limit == 0 || used <= limit) return;
  if (attempt->cause != Outcome::kNone || attempt->main_ended) return;
  attempt->message = OverLimit(used, limit);
  BeginEnding(attempt, Outcome::kOutOfMemory, now, absl::ZeroDuration());
}

}  // namespace kartograph::executor
