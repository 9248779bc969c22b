#include "scheduler/pruner.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace kartograph::scheduler {
namespace {

constexpr absl::Duration kInterval = absl::Minutes(1);
constexpr int kGraphsAtOnce = 100;
// Answers to writes are remembered at least so long, however short the retention.
constexpr absl::Duration kRememberRequests = absl::Hours(24);

}  // namespace

void Pruner::Work(const Instant& now, int64_t max_rows, std::vector<storage::Record>& records) {
  if (removing_) {
    absl::StatusOr<bool> more = writer_->RemoveSome(max_rows);
    removing_ = more.ok() && *more;
  } else if (forget_before_ != absl::InfinitePast()) {
    absl::StatusOr<int64_t> forgotten = writer_->ForgetRequests(forget_before_, max_rows);
    if (!forgotten.ok() || *forgotten < max_rows) forget_before_ = absl::InfinitePast();
  }
  if (retention_ == absl::InfiniteDuration() || finding_ || now.steady < next_find_) return;
  next_find_ = now.steady + kInterval;
  const absl::Time time = clock_.Now(now);
  records.emplace_back(storage::RetentionTime{time});
  const absl::Time before = time - std::max(retention_, kRememberRequests);
  forget_before_ = before;
  finding_ = true;
  auto found = std::make_shared<absl::StatusOr<std::vector<planner::GraphId>>>(
      std::vector<planner::GraphId>());
  background_->Run(
      Background::kGraphs, now,
      {.work = [reader = reader_, before,
                found] { *found = reader->FindPrunable(before, kGraphsAtOnce); },
       .then = [this, before, found](const Instant& later) { OnFound(*found, before, later); }});
}

void Pruner::OnFound(const absl::StatusOr<std::vector<planner::GraphId>>& found, absl::Time before,
                     const Instant& now) {
  finding_ = false;
  if (!found.ok() || found->empty()) return;
  const absl::StatusOr<std::vector<planner::GraphId>> pruned = writer_->Prune(before, *found);
  if (!pruned.ok()) return;
  for (planner::GraphId graph : *pruned) cluster_->Discard(graph);
  removing_ = removing_ || !pruned->empty();
  if (found->size() == kGraphsAtOnce) next_find_ = now.steady;  // there are more
}

SteadyTime Pruner::NextTime() const {
  if (removing_ || forget_before_ != absl::InfinitePast()) return SteadyTime::InfinitePast();
  if (retention_ == absl::InfiniteDuration() || finding_) return SteadyTime::InfiniteFuture();
  return next_find_;
}

}  // namespace kartograph::scheduler
