#include "scheduler/engine.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "executor/reads_values.h"
#include "scheduler/changes.h"

namespace kartograph::scheduler {

using planner::GraphId;
using planner::TaskKey;

namespace {

// Of the return values that a launch brings along.
constexpr int64_t kMaxValuesBytes = 1 << 20;
constexpr absl::Duration kFirstWriteBackoff = absl::Milliseconds(500);
constexpr absl::Duration kLastWriteBackoff = absl::Seconds(15);

}  // namespace

absl::Status Engine::Stopping() {
  return absl::UnavailableError("the service is stopping; try again when it is back");
}

Engine::Engine(SchedulerOptions options, storage::HistoryWriter* writer,
               storage::LongReader* reader, executor::Cluster* cluster, Background* background)
    : options_(std::move(options)),
      writer_(writer),
      reader_(reader),
      cluster_(cluster),
      background_(background),
      pools_(options_.pools),
      slice_(options_.slice_tasks),
      search_(options_.search_schedules, options_.search_tasks, background),
      waiters_(reader, background) {}

absl::Status Engine::Recover(const Instant& now) {
  absl::StatusOr<absl::Time> retention_time = writer_->LastRetentionTime();
  if (!retention_time.ok()) return retention_time.status();
  pruner_.emplace(options_.retention, *retention_time, writer_, reader_, cluster_, background_,
                  options_.on_pruned);
  if (absl::Status status = writer_->AbandonSubmissions(); !status.ok()) return status;
  return LoadCore(now);
}

absl::Status Engine::LoadCore(const Instant& now) {
  absl::StatusOr<GraphId> last_graph = writer_->LastGraphId();
  if (!last_graph.ok()) return last_graph.status();
  absl::StatusOr<int64_t> last_delivery = writer_->LastDeliveryId();
  if (!last_delivery.ok()) return last_delivery.status();
  absl::StatusOr<std::vector<storage::KindLearnt>> kinds = writer_->Kinds();
  if (!kinds.ok()) return kinds.status();
  if (absl::Status status = usage_.Load(*kinds); !status.ok()) return status;
  GraphLoader loader(GraphLoader::kResume, &usage_);
  if (absl::Status status = writer_->VisitLive(loader); !status.ok()) return status;
  absl::StatusOr<std::vector<PreparedGraph>> graphs = loader.Finish();
  if (!graphs.ok()) return graphs.status();
  const absl::StatusOr<std::vector<storage::PoolChanged>> set = writer_->PoolsSet();
  if (!set.ok()) return set.status();
  for (storage::PoolChanged& overruled : pools_.Load(*set, now.wall)) {
    AnnouncePool(overruled, {}, pools_.pools());
    step_.records.emplace_back(std::move(overruled));
  }
  core_ = std::make_unique<Core>(
      CoreOptions{pools_.pools(), options_.max_graph_tasks, options_.slice_tasks, options_.slots,
                  options_.indexed, pools_.overrides(), &usage_, options_.weights, options_.caps,
                  options_.preempt_after},
      GraphTable::LastIds{std::max(*last_graph, options_.last_graph_at_least),
                          std::max(*last_delivery, options_.last_delivery_at_least)});
  core_->mutable_totals() = totals_;
  for (PreparedGraph& graph : *graphs) core_->Install(std::move(graph), {now, step_});
  if (stopping_) core_->StopLaunching();
  return absl::OkStatus();
}

// --- events ---

void Engine::OnClusterEvents(std::vector<executor::ClusterEvent> events, const Instant& now) {
  for (executor::ClusterEvent& event : events) {
    // While nothing can be written, the ends of attempts stay with the cluster, which is asked for
    // them again. That they run is not written, and shown.
    if (auto* update = std::get_if<executor::AttemptUpdate>(&event);
        update != nullptr && !write_error_.ok() && core_->IsAlive(update->attempt) &&
        update->outcome != planner::Outcome::kNone) {
      continue;
    }
    core_->OnClusterEvent(std::move(event), {now, step_});
  }
}

SteadyTime Engine::NextWake() const {
  SteadyTime wake = waiters_.NextDeadline();
  if (cancelling_) return SteadyTime::InfinitePast();
  if (!write_error_.ok()) return std::min(wake, write_retry_);
  if (!own_events_.empty() || !submissions_.empty() || core_->HasWork()) {
    return SteadyTime::InfinitePast();
  }
  return std::min({wake, core_->NextTimer(), pruner_->NextTime()});
}

void Engine::EndBatch(const Instant& now) {
  if (!write_error_.ok() && now.steady >= write_retry_) TryToWriteAgain(now);
  if (write_error_.ok() || cancelling_) {
    Advance(now);
    if (absl::Status status = CommitStep(); !status.ok()) {
      CommitFailed(status, now);
      return;
    }
    Publish(now);
  }
  waiters_.Serve(now);
}

void Engine::TryToWriteAgain(const Instant& now) {
  absl::Status status = writer_->CheckWritable();
  if (status.ok()) status = writer_->AbandonSubmissions();
  if (!status.ok()) {
    RefuseWrites(status, now);
    return;
  }
  write_error_ = absl::OkStatus();
  cancelling_ = false;
  pruner_->Remove();
  for (executor::ClusterEvent& event : core_->AdoptableState()) {
    core_->OnClusterEvent(std::move(event), {now, step_});
  }
}

// What follows from what has happened.
void Engine::Advance(const Instant& now) {
  if (!write_error_.ok()) {
    core_->ContinueWork(slice_, {now, step_});
    return;
  }
  std::vector<executor::ClusterEvent> own = std::move(own_events_);
  own_events_.clear();
  OnClusterEvents(std::move(own), now);
  core_->OnTime({now, step_});
  sliced_ = core_->HasWork();
  core_->ContinueWork(slice_, {now, step_});
  WriteSubmissions(now);
  for (GraphId graph : step_.begun_graphs) search_.Add(graph);
  search_.Advance(
      *core_, now,
      [this](GraphId graph, const std::vector<planner::TaskIndex>& order, const Instant& later) {
        core_->SetOrder(graph, order, {later, step_});
      });
  // What the work takes is measured, in a simulation too.
  const SteadyTime before = Clock::System().SteadyNow();
  core_->Plan({now, step_});
  core_->mutable_totals().plan_time += Clock::System().SteadyNow() - before;
  if (step_.cluster_changed) usage_.SetCapacity(core_->capacity(), core_->pools());
  usage_.TakeChanges(&step_.records);
}

absl::Status Engine::CommitStep() {
  if (step_.records.empty()) return absl::OkStatus();
  const SteadyTime before = Clock::System().SteadyNow();
  absl::Status status =
      write_error_.ok() ? writer_->Commit(step_.records) : writer_->CommitUrgent(step_.records);
  const absl::Duration took = Clock::System().SteadyNow() - before;
  Totals& totals = core_->mutable_totals();
  totals.commit_time += took;
  ++totals.commits;
  totals.records += static_cast<int64_t>(step_.records.size());
  if (!status.ok() || !write_error_.ok()) return status;
  write_backoff_ = absl::ZeroDuration();
  if (sliced_) AdaptSlice(took);
  return status;
}

// What is committed takes effect, and is answered.
void Engine::Publish(const Instant& now) {
  ApplyEffects();
  if (!watchers_.empty()) NotifyWatchers();
  for (const auto& [queue, deliveries] : std::exchange(acknowledged_, {})) {
    waiters_.Acknowledged(queue, deliveries);
  }
  for (const std::string& queue : step_.finished_queues) waiters_.Announce(queue);
  const auto answers = std::exchange(answers_, {});
  batch_answers_.clear();
  batch_tasks_.clear();
  step_.Clear();
  if (write_error_.ok()) pruner_->Work(now, slice_, step_.records);
  cancelling_ = cancelling_ && core_->HasWork();
  // Last, as what they begin belongs to the next batch.
  for (const auto& answer : answers) answer(absl::OkStatus());
}

void Engine::AdaptSlice(absl::Duration took) {
  if (options_.slice_time == absl::ZeroDuration()) return;
  if (took > options_.slice_time) {
    slice_ = std::max(slice_ / 2, options_.slice_tasks / 16);
  } else if (took < options_.slice_time / 2) {
    slice_ = std::min(slice_ + slice_ / 4, options_.slice_tasks * 4);
  }
}

void Engine::RefuseWrites(const absl::Status& why, const Instant& now) {
  write_error_ = absl::UnavailableError(
      absl::StrCat("the run history cannot be written, so nothing is accepted or launched: ",
                   std::string(why.message())));
  write_backoff_ = std::clamp(write_backoff_ * 2, kFirstWriteBackoff, kLastWriteBackoff);
  write_retry_ = now.steady + write_backoff_;
}

void Engine::CommitFailed(const absl::Status& status, const Instant& now) {
  totals_ = core_->totals();
  if (absl::IsDataLoss(status)) fatal_error_ = status;
  reserve_left_ = write_error_.ok() && absl::IsResourceExhausted(status);
  cancelling_ = false;
  RefuseWrites(status, now);
  auto answers = std::move(answers_);
  answers_.clear();
  batch_answers_.clear();
  batch_tasks_.clear();
  acknowledged_.clear();  // they are delivered again when their leases are over
  std::vector<executor::ClusterEvent> cluster = core_->AdoptableState();
  if (core_->connected()) {
    for (auto* offers : {&step_.used_offers, &step_.declined_offers}) {
      std::move(offers->begin(), offers->end(), std::back_inserter(cluster));
    }
  }
  // Ends that the history knew before are acknowledged all the same; no one would ask about them
  // again.
  absl::flat_hash_set<planner::AttemptId> unwritten;
  for (const storage::Record& record : step_.records) {
    if (const auto* ended = std::get_if<storage::AttemptEnded>(&record)) {
      unwritten.insert(ended->attempt);
    }
  }
  std::vector<planner::AttemptId> acknowledge;
  for (planner::AttemptId id : step_.acknowledge) {
    if (!unwritten.contains(id)) acknowledge.push_back(id);
  }
  step_.Clear();
  step_.acknowledge = std::move(acknowledge);
  if (absl::Status loaded = LoadCore(now); !loaded.ok()) fatal_error_ = loaded;
  for (executor::ClusterEvent& event : cluster) {
    core_->OnClusterEvent(std::move(event), {now, step_});
  }
  for (auto& answer : answers) answer(write_error_);
  RefuseSubmissions(write_error_);
  // The reloaded core does not know which attempts run.
  if (!step_.reconcile.empty()) cluster_->Reconcile(std::exchange(step_.reconcile, {}));
}

void Engine::ApplyEffects() {
  if (!step_.reconcile.empty()) cluster_->Reconcile(std::move(step_.reconcile));
  for (const CancelEffect& cancel : step_.cancels) {
    cluster_->Cancel(cancel.attempt, cancel.agent, cancel.grace);
  }
  if (!step_.launches.empty()) Launch();
  if (!step_.acknowledge.empty()) cluster_->Acknowledge(step_.acknowledge);
  executor::OfferControl* const offers = cluster_->offers();
  if (offers == nullptr) return;
  if (!step_.declined_offers.empty()) {
    std::vector<executor::OfferId> declined;
    declined.reserve(step_.declined_offers.size());
    for (executor::Offer& offer : step_.declined_offers) declined.push_back(std::move(offer.id));
    offers->Decline(declined);
  }
  if (step_.suppress) offers->Suppress();
  if (step_.revive) offers->Revive(*step_.revive);
}

absl::Status Engine::AddContents(std::string payload, executor::Launch* launch) {
  launch->payload = std::move(payload);
  if (!executor::ReadsValues(launch->payload)) return absl::OkStatus();
  auto values = writer_->ValuesBefore(launch->attempt.task(), kMaxValuesBytes);
  if (!values.ok()) return values.status();
  launch->values = *std::move(values);
  return absl::OkStatus();
}

void Engine::Launch() {
  std::vector<TaskKey> tasks;
  tasks.reserve(step_.launches.size());
  for (const executor::Launch& launch : step_.launches) tasks.push_back(launch.attempt.task());
  absl::StatusOr<std::vector<std::string>> payloads = writer_->Payloads(tasks);
  std::vector<executor::Launch> launches;
  launches.reserve(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    executor::Launch& launch = step_.launches[i];
    absl::Status read;
    if (payloads.ok()) {
      read = AddContents(std::move((*payloads)[i]), &launch);
    } else if (auto alone = writer_->Payloads({tasks[i]}); alone.ok()) {
      // One that cannot be read holds no other back.
      read = AddContents(std::move((*alone)[0]), &launch);
    } else {
      read = alone.status();
    }
    if (!read.ok()) {
      executor::AttemptUpdate update;
      update.attempt = launch.attempt;
      update.agent = launch.agent;
      update.outcome = planner::Outcome::kRefused;
      update.message = absl::StrCat("its payload cannot be read: ", std::string(read.message()));
      own_events_.emplace_back(std::move(update));
      continue;
    }
    launches.push_back(std::move(launch));
  }
  if (!launches.empty()) cluster_->Execute(std::move(launches));
}

void Engine::NotifyWatchers() {
  const StepChanges of_step(step_, *core_);
  const Changes& changes = of_step.changes();
  if (changes.tasks.empty() && changes.graphs.empty() && !changes.cluster) return;
  for (const Watcher& watcher : watchers_) watcher(changes, *core_);
}

std::list<Engine::Watcher>::iterator Engine::AddWatcher(Watcher watcher) {
  return watchers_.insert(watchers_.end(), std::move(watcher));
}

// --- the end ---

void Engine::StopTakingWork() {
  stopping_ = true;
  core_->StopLaunching();
  search_.Stop();
  RefuseSubmissions(Stopping());
}

void Engine::DismissWaiters() { waiters_.Dismiss(Stopping()); }

}  // namespace kartograph::scheduler
