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
  if (retention_.limited() && !finding_ && now.steady >= next_find_) {
    Find(now, records);
  }
}

void Pruner::Find(const Instant& now, std::vector<storage::Record>& records) {
  next_find_ = now.steady + kInterval;
  const absl::Time time = clock_.Now(now);
  records.emplace_back(storage::RetentionTime{time});
  storage::Keep keep = time - std::max(retention_.age, kRememberRequests);
  keep.graphs = retention_.graphs;
  keep.bytes = retention_.bytes;
  forget_before_ = keep.since;
  finding_ = true;
  auto found = std::make_shared<Found>();
  background_->Run(Background::kRetention, now,
                   {.work = [reader = reader_, keep, found] { *found = FindOver(keep, *reader); },
                    // One that ran again since then ended later.
                    .then = [this, found, before = std::max(now.wall, keep.since)](
                                const Instant& later) { OnFound(*found, before, later); }});
}

Pruner::Found Pruner::FindOver(const storage::Keep& keep, storage::LongReader& reader) {
  const storage::Keep all(absl::InfinitePast());
  std::vector<std::pair<Pruned::Limit, storage::Keep>> limits;
  if (keep.since != all.since) limits.emplace_back(Pruned::Limit::kAge, keep.since);
  if (keep.graphs != all.graphs) {
    limits.emplace_back(Pruned::Limit::kGraphs, all).second.graphs = keep.graphs;
  }
  if (keep.bytes != all.bytes) {
    limits.emplace_back(Pruned::Limit::kBytes, all).second.bytes = keep.bytes;
  }
  Found found;
  for (const auto& [limit, one] : limits) {
    found = {limit, reader.FindPrunable(one, kGraphsAtOnce)};
    if (!found.graphs.ok() || !found.graphs->empty()) break;
  }
  return found;
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

void Pruner::OnFound(const Found& found, absl::Time before, const Instant& now) {
  finding_ = false;
  if (!found.graphs.ok() || found.graphs->empty()) return;
  const absl::StatusOr<std::vector<planner::GraphId>> pruned =
      writer_->Prune(before, *found.graphs);
  if (!pruned.ok()) return;
  OnPruned(*pruned);
  if (on_pruned_ && !pruned->empty()) on_pruned_({found.limit, *pruned});
  if (found.graphs->size() == kGraphsAtOnce) next_find_ = now.steady;  // there are more
}

void Pruner::OnPruned(const std::vector<planner::GraphId>& graphs) {
  for (planner::GraphId graph : graphs) cluster_->Discard(graph);
  if (graphs.empty()) return;
  removing_ = true;
  pruned_since_sweep_ = true;
}

absl::StatusOr<bool> Pruner::Forget(planner::GraphId graph) {
  absl::StatusOr<std::vector<planner::GraphId>> pruned =
      writer_->Prune(absl::InfiniteFuture(), {graph});
  if (!pruned.ok()) return pruned.status();
  OnPruned(*pruned);
  return !pruned->empty();
}

SteadyTime Pruner::NextTime() const {
  if (forget_before_ != absl::InfinitePast() || !unused_.empty()) {
    return SteadyTime::InfinitePast();
  }
  const bool finds = retention_.limited() && !finding_;
  return std::min({removing_ ? next_removal_ : SteadyTime::InfiniteFuture(),
                   finds ? next_find_ : SteadyTime::InfiniteFuture(),
                   sweep_wanted() ? next_sweep_ : SteadyTime::InfiniteFuture()});
}

}  // namespace kartograph::scheduler
