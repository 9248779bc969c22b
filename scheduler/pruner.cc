#include "scheduler/pruner.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace kartograph::scheduler {
namespace {

constexpr absl::Duration kInterval = absl::Minutes(1);
constexpr int kGraphsAtOnce = 100;
// A sweep may read every task of the history.
constexpr absl::Duration kSweepInterval = absl::Hours(1);
// Answers to writes are remembered at least this long, however short the retention.
constexpr absl::Duration kRememberRequests = absl::Hours(24);

}  // namespace

void Pruner::Work(const Instant& now, int64_t max_rows, std::vector<storage::Record>& records) {
  if (removing_ && now.steady >= next_removal_) {
    const absl::StatusOr<bool> more = writer_->RemoveSome(max_rows);
    removing_ = !more.ok() || *more;
    if (!more.ok()) next_removal_ = now.steady + kInterval;
  } else if (forget_before_ != absl::InfinitePast()) {
    absl::StatusOr<int64_t> forgotten = writer_->ForgetRequests(forget_before_, max_rows);
    if (!forgotten.ok() || *forgotten < max_rows) forget_before_ = absl::InfinitePast();
  } else if (!unused_.empty()) {
    const absl::Status removed = writer_->RemoveUnused(unused_, max_rows);
    if (!removed.ok()) unused_ = {};  // the next sweep finds them again
    EndSweepIfDone();
  }
  if (sweep_wanted() && now.steady >= next_sweep_) Sweep(now);
  if (retention_ != absl::InfiniteDuration() && !finding_ && now.steady >= next_find_) {
    Find(now, records);
  }
}

void Pruner::Find(const Instant& now, std::vector<storage::Record>& records) {
  next_find_ = now.steady + kInterval;
  const absl::Time time = clock_.Now(now);
  records.emplace_back(storage::RetentionTime{time});
  const absl::Time before = time - std::max(retention_, kRememberRequests);
  forget_before_ = before;
  finding_ = true;
  auto found = std::make_shared<absl::StatusOr<std::vector<planner::GraphId>>>(
      std::vector<planner::GraphId>());
  background_->Run(
      Background::kRetention, now,
      {.work = [reader = reader_, before,
                found] { *found = reader->FindPrunable(before, kGraphsAtOnce); },
       .then = [this, before, found](const Instant& later) { OnFound(*found, before, later); }});
}

void Pruner::Sweep(const Instant& now) {
  next_sweep_ = now.steady + kSweepInterval;
  pruned_since_sweep_ = false;
  sweeping_ = true;
  writer_->BeginSweep();
  auto found = std::make_shared<absl::StatusOr<storage::UnusedRows>>(storage::UnusedRows());
  background_->Run(Background::kRetention, now,
                   {.work = [reader = reader_, found] { *found = reader->FindUnused(); },
                    .then =
                        [this, found](const Instant&) {
                          if (found->ok()) unused_ = *std::move(*found);
                          EndSweepIfDone();
                        }});
}

void Pruner::EndSweepIfDone() {
  if (!unused_.empty()) return;
  writer_->EndSweep();
  sweeping_ = false;
}

void Pruner::OnFound(const absl::StatusOr<std::vector<planner::GraphId>>& found, absl::Time before,
                     const Instant& now) {
  finding_ = false;
  if (!found.ok() || found->empty()) return;
  const absl::StatusOr<std::vector<planner::GraphId>> pruned = writer_->Prune(before, *found);
  if (!pruned.ok()) return;
  for (planner::GraphId graph : *pruned) cluster_->Discard(graph);
  removing_ = removing_ || !pruned->empty();
  pruned_since_sweep_ = pruned_since_sweep_ || !pruned->empty();
  if (found->size() == kGraphsAtOnce) next_find_ = now.steady;  // there are more
}

SteadyTime Pruner::NextTime() const {
  if (forget_before_ != absl::InfinitePast() || !unused_.empty()) {
    return SteadyTime::InfinitePast();
  }
  const bool finds = retention_ != absl::InfiniteDuration() && !finding_;
  return std::min({removing_ ? next_removal_ : SteadyTime::InfiniteFuture(),
                   finds ? next_find_ : SteadyTime::InfiniteFuture(),
                   sweep_wanted() ? next_sweep_ : SteadyTime::InfiniteFuture()});
}

}  // namespace kartograph::scheduler
