// The part of Runner that looks at the memory of single trees between two surveys.
#include <algorithm>
#include <vector>

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
std::vector<Relative> TreeOf(pid_t root) {
  std::vector<Relative> tree = {{root, 0}};
  for (size_t i = 0; i < tree.size() && tree.size() < kMaxProcesses; ++i) {
    const pid_t parent = tree[i].pid;
    for (pid_t child : ReadChildrenOf(parent)) tree.push_back({child, parent});
  }
  return tree;
}

}  // namespace

bool Runner::CanBeMeasured(const Attempt& attempt) {
  // Before its program is executed, a process has our memory.
  const bool is_program = attempt.starting == nullptr || attempt.starting->spawner.finished();
  return IsMeasured(attempt) && is_program && !attempt.main_ended &&
         !attempt.reported.has_value() && attempt.cause == Outcome::kNone;
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
