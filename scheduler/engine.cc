#include "scheduler/engine.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "planner/problems.h"
#include "scheduler/changes.h"

namespace kartograph::scheduler {

using planner::GraphId;
using planner::TaskIndex;
using planner::TaskKey;

namespace {

constexpr absl::Duration kFirstWriteBackoff = absl::Milliseconds(500);
constexpr absl::Duration kLastWriteBackoff = absl::Seconds(15);
constexpr absl::Duration kPruneInterval = absl::Minutes(1);
constexpr int kPruneBatch = 100;
// Answers to writes are remembered at least so long, however short the retention.
constexpr absl::Duration kRememberRequests = absl::Hours(24);

}  // namespace

Engine::Engine(SchedulerOptions options, storage::HistoryWriter* writer, executor::Cluster* cluster)
    : options_(std::move(options)), writer_(writer), cluster_(cluster) {}

absl::Status Engine::Recover(const Instant& now) { return LoadCore(now); }

absl::Status Engine::LoadCore(const Instant& now) {
  absl::StatusOr<GraphId> last_graph = writer_->LastGraphId();
  if (!last_graph.ok()) return last_graph.status();
  absl::StatusOr<int64_t> last_delivery = writer_->LastDeliveryId();
  if (!last_delivery.ok()) return last_delivery.status();
  core_ = std::make_unique<Core>(CoreOptions{options_.pools, options_.max_graph_tasks},
                                 Core::Numbers{*last_graph, *last_delivery});
  core_->mutable_totals() = totals_;
  Core::Loader loader(*core_);
  if (absl::Status status = writer_->VisitLive(loader); !status.ok()) return status;
  core_->FinishLoading(loader, {now, step_});
  if (stopping_) core_->StopLaunching();
  return absl::OkStatus();
}

// --- writes ---

absl::StatusOr<int64_t> Engine::Answered(absl::string_view kind, absl::string_view answer) const {
  int64_t value = 0;
  if (!absl::ConsumePrefix(&answer, kind) || !absl::ConsumePrefix(&answer, " ") ||
      !absl::SimpleAtoi(answer, &value)) {
    return absl::InvalidArgumentError(
        "this request_id was used for a different call before; make a new one for every write");
  }
  return value;
}

void Engine::Apply(Command command, const Instant& now, Done done) {
  if (stopping_) {
    done(absl::UnavailableError("the service is stopping; try again when it is back"));
    return;
  }
  std::visit(
      [&](auto& c) {
        if constexpr (std::is_same_v<std::decay_t<decltype(c)>, PopFinished>) {
          Pop(std::move(c), std::move(done));
        } else {
          ApplyOnce(c, now, std::move(done));
        }
      },
      command);
}

template <typename Write>
void Engine::ApplyOnce(Write& write, const Instant& now, Done done) {
  if (!write_error_.ok()) {
    done(write_error_);
    return;
  }
  absl::StatusOr<int64_t> result = int64_t{0};
  bool is_new = true;
  if (!write.request_id.empty()) {
    if (auto it = batch_answers_.find(write.request_id); it != batch_answers_.end()) {
      result = Answered(Write::kKind, it->second);
      is_new = false;
    } else {
      absl::StatusOr<std::optional<std::string>> answer = writer_->FindRequest(write.request_id);
      if (!answer.ok()) {
        done(answer.status());
        return;
      }
      if (answer->has_value()) {
        result = Answered(Write::kKind, **answer);
        is_new = false;
      }
    }
  }
  if (is_new) {
    result = Do(write, now);
    if (result.ok() && !write.request_id.empty()) {
      std::string answer = absl::StrCat(Write::kKind, " ", *result);
      batch_answers_[write.request_id] = answer;
      step_.records.emplace_back(
          storage::RequestAnswered{std::move(write.request_id), std::move(answer), now.wall});
    }
  }
  answers_.push_back([done = std::move(done), result](const absl::Status& committed) {
    if (!result.ok()) return done(result.status());
    if (!committed.ok()) return done(committed);
    done(Reply{.number = *result, .finished = {}});
  });
}

absl::StatusOr<int64_t> Engine::Do(SubmitGraph& submit, const Instant& now) {
  absl::StatusOr<GraphId> id = core_->SubmitGraph(std::move(submit.graph), {now, step_});
  if (!id.ok()) return id.status();
  return int64_t{*id};
}

absl::StatusOr<TaskKey> Engine::FindTask(GraphId graph, const std::string& name) {
  if (auto it = batch_tasks_.find({graph, name}); it != batch_tasks_.end()) return it->second;
  return writer_->FindTask(graph, name);
}

// Of a graph that is not live.
bool Engine::HasEnded(GraphId graph) {
  absl::StatusOr<bool> known = writer_->HasGraph(graph);
  return known.ok() && *known;
}

absl::StatusOr<int64_t> Engine::Do(AddTask& add, const Instant& now) {
  TaskSubmission& task = add.task;
  const LiveGraph* live = core_->FindGraph(add.graph);
  if (live == nullptr) {
    const std::string id = planner::GraphIdToString(add.graph);
    if (HasEnded(add.graph)) {
      return absl::FailedPreconditionError(
          absl::StrCat("graph \"", id, "\" has ended and takes no more tasks"));
    }
    return absl::NotFoundError(absl::StrCat("no graph \"", id, "\""));
  }
  std::vector<planner::Problem> problems;
  if (absl::StatusOr<TaskKey> same = FindTask(add.graph, task.name); same.ok()) {
    problems.push_back(
        {"task.name", task.name, "is the name of a task of this graph already; give another"});
  } else if (!absl::IsNotFound(same.status())) {
    return same.status();
  }
  std::vector<TaskIndex> after;
  for (const std::string& name : task.after) {
    absl::StatusOr<TaskKey> before = FindTask(add.graph, name);
    if (before.ok()) {
      after.push_back(before->index());
    } else if (absl::IsNotFound(before.status())) {
      problems.push_back({absl::StrCat("tasks[\"", task.name, "\"].after"), name,
                          "no task of the graph has this name"});
    } else {
      return before.status();
    }
  }
  if (!problems.empty()) return planner::ProblemsToStatus(problems);
  std::string name = task.name;
  absl::StatusOr<TaskKey> key =
      core_->AddTask(add.graph, std::move(task), std::move(after), {now, step_});
  if (!key.ok()) return key.status();
  batch_tasks_[{add.graph, std::move(name)}] = *key;
  return static_cast<int64_t>(key->value);
}

absl::StatusOr<int64_t> Engine::Do(CloseGraph& close, const Instant& now) {
  absl::Status status = core_->CloseGraph(close.graph, {now, step_});
  // A graph that has ended is as closed as can be.
  if (!status.ok() && !(absl::IsNotFound(status) && HasEnded(close.graph))) return status;
  return 1;
}

absl::StatusOr<int64_t> Engine::Do(CancelGraph& cancel, const Instant& now) {
  // Nothing is left to cancel in a graph that has ended.
  if (!core_->IsLive(cancel.graph) && HasEnded(cancel.graph)) return 0;
  return core_->CancelGraph(cancel.graph, {now, step_});
}

absl::StatusOr<int64_t> Engine::Do(CancelTask& cancel, const Instant& now) {
  absl::StatusOr<TaskKey> key = FindTask(cancel.graph, cancel.task_name);
  if (absl::IsNotFound(key.status())) {
    return absl::NotFoundError(absl::StrCat("no task \"", cancel.task_name, "\" in graph \"",
                                            planner::GraphIdToString(cancel.graph), "\""));
  }
  if (!key.ok()) return key.status();
  if (!core_->IsLive(cancel.graph)) return 0;
  return core_->CancelTask(*key, {now, step_});
}

absl::StatusOr<int64_t> Engine::Do(RetryGraph& retry, const Instant& now) {
  // A graph that ended in this very batch is not in the history yet as ended.
  const bool just_ended = std::any_of(
      step_.ended_graphs.begin(), step_.ended_graphs.end(),
      [&](const Step::EndedGraph& ended) { return ended.snapshot.graph == retry.graph; });
  if (just_ended) return absl::UnavailableError("the graph is ending just now; try again");
  const std::string id = planner::GraphIdToString(retry.graph);
  if (core_->IsLive(retry.graph)) {
    return absl::FailedPreconditionError(
        absl::StrCat("graph \"", id, "\" is still running; cancel it or wait for its end first"));
  }
  Core::Loader loader(*core_);
  loader.Retry();
  if (absl::Status status = writer_->VisitGraph(retry.graph, loader); !status.ok()) {
    if (!absl::IsNotFound(status)) return status;
    return absl::NotFoundError(absl::StrCat("no graph \"", id, "\""));
  }
  if (absl::Status status = loader.CheckLaunchesLeft(); !status.ok()) return status;
  core_->FinishLoading(loader, {now, step_});
  return loader.retried();
}

void Engine::Pop(PopFinished pop, Done done) {
  if (!write_error_.ok() && !pop.acknowledge.empty()) {
    done(write_error_);
    return;
  }
  if (waiting_ >= options_.max_waiters) {
    done(absl::ResourceExhaustedError(
        "too many calls wait for finished tasks already; end some of them"));
    return;
  }
  for (int64_t id : pop.acknowledge) {
    step_.records.emplace_back(storage::FinishedAcknowledged{pop.client_queue, id});
  }
  new_waiters_.insert(pop.client_queue);
  ++waiting_;
  waiters_[std::move(pop.client_queue)].push_back(
      {pop.max_tasks, pop.max_bytes, pop.deadline, std::move(done)});
}

// --- events ---

void Engine::OnClusterEvents(std::vector<executor::ClusterEvent> events, const Instant& now) {
  for (executor::ClusterEvent& event : events) {
    // While nothing can be written, the ends of attempts stay with the cluster, which is asked for
    // them again.
    if (auto* update = std::get_if<executor::AttemptUpdate>(&event);
        update != nullptr && !write_error_.ok() && core_->IsAlive(update->attempt)) {
      continue;
    }
    core_->OnClusterEvent(std::move(event), {now, step_});
  }
}

SteadyTime Engine::NextWake() const {
  SteadyTime wake = write_error_.ok() ? core_->NextTimer() : write_retry_;
  if (!own_events_.empty()) wake = SteadyTime::InfinitePast();
  for (const auto& [queue, waiters] : waiters_) {
    for (const Waiter& waiter : waiters) wake = std::min(wake, waiter.deadline);
  }
  if (options_.retention < absl::InfiniteDuration()) wake = std::min(wake, next_prune_);
  return wake;
}

void Engine::EndBatch(const Instant& now) {
  if (!write_error_.ok() && now.steady >= write_retry_) {
    // Whether the history can be written again is found out by writing.
    write_error_ = absl::OkStatus();
    for (executor::ClusterEvent& event : core_->AdoptableState()) {
      core_->OnClusterEvent(std::move(event), {now, step_});
    }
  }
  if (write_error_.ok()) {
    std::vector<executor::ClusterEvent> own = std::move(own_events_);
    own_events_.clear();
    OnClusterEvents(std::move(own), now);
    core_->OnTime({now, step_});
    // What the work takes is measured, in a simulation too.
    const SteadyTime planned = Clock::System().SteadyNow();
    core_->Plan({now, step_});
    const SteadyTime before = Clock::System().SteadyNow();
    core_->mutable_totals().plan_time += before - planned;
    if (!step_.records.empty()) {
      absl::Status status = writer_->Commit(step_.records);
      Totals& totals = core_->mutable_totals();
      totals.commit_time += Clock::System().SteadyNow() - before;
      ++totals.commits;
      totals.records += static_cast<int64_t>(step_.records.size());
      if (!status.ok()) {
        CommitFailed(status, now);
        return;
      }
      write_backoff_ = absl::ZeroDuration();
    }
    CarryOut();
    if (!watchers_.empty()) TellWatchers();
    for (const std::string& queue : step_.finished_queues) new_waiters_.insert(queue);
    for (auto& answer : answers_) answer(absl::OkStatus());
    answers_.clear();
    batch_answers_.clear();
    batch_tasks_.clear();
    step_.Clear();
    PruneIfDue(now);
  }
  ServeWaiters(now);
}

void Engine::CommitFailed(const absl::Status& status, const Instant& now) {
  totals_ = core_->totals();
  if (absl::IsDataLoss(status)) fatal_error_ = status;
  write_error_ = absl::UnavailableError(
      absl::StrCat("the run history cannot be written, so nothing is accepted or launched: ",
                   std::string(status.message())));
  write_backoff_ = std::clamp(write_backoff_ * 2, kFirstWriteBackoff, kLastWriteBackoff);
  write_retry_ = now.steady + write_backoff_;
  auto answers = std::move(answers_);
  answers_.clear();
  batch_answers_.clear();
  batch_tasks_.clear();
  std::vector<executor::ClusterEvent> cluster = core_->AdoptableState();
  if (core_->connected()) {
    for (auto* offers : {&step_.used_offers, &step_.declined_offers}) {
      std::move(offers->begin(), offers->end(), std::back_inserter(cluster));
    }
  }
  // Ends that the history knew before are acknowledged all the same; nobody would ask about them
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
}

void Engine::CarryOut() {
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

void Engine::Launch() {
  std::vector<TaskKey> tasks;
  tasks.reserve(step_.launches.size());
  for (const executor::Launch& launch : step_.launches) tasks.push_back(launch.attempt.task());
  absl::StatusOr<std::vector<std::string>> payloads = writer_->Payloads(tasks);
  std::vector<executor::Launch> launches;
  launches.reserve(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    executor::Launch& launch = step_.launches[i];
    if (payloads.ok()) {
      launch.payload = std::move((*payloads)[i]);
    } else if (auto alone = writer_->Payloads({tasks[i]}); alone.ok()) {
      // One that cannot be read keeps no other back.
      launch.payload = std::move((*alone)[0]);
    } else {
      executor::AttemptUpdate update;
      update.attempt = launch.attempt;
      update.agent = launch.agent;
      update.outcome = planner::Outcome::kRefused;
      update.message =
          absl::StrCat("its payload cannot be read: ", std::string(alone.status().message()));
      own_events_.emplace_back(std::move(update));
      continue;
    }
    launches.push_back(std::move(launch));
  }
  if (!launches.empty()) cluster_->Execute(std::move(launches));
}

void Engine::TellWatchers() {
  const Changes changes = ChangesOf(step_, *core_);
  if (changes.tasks.empty() && changes.graphs.empty() && !changes.cluster) return;
  for (const Watcher& watcher : watchers_) watcher(changes, *core_);
}

std::list<Engine::Watcher>::iterator Engine::AddWatcher(Watcher watcher) {
  return watchers_.insert(watchers_.end(), std::move(watcher));
}

// --- those who wait ---

void Engine::ServeWaiters(const Instant& now) {
  for (const std::string& queue : new_waiters_) {
    auto it = waiters_.find(queue);
    if (it == waiters_.end()) continue;
    // Everybody who waits gets what is there: which of them will live to acknowledge it, nobody
    // knows.
    std::deque<Waiter> left;
    for (Waiter& waiter : it->second) {
      absl::StatusOr<std::vector<storage::Finished>> finished =
          writer_->FinishedOf(queue, waiter.max_tasks, waiter.max_bytes);
      if (finished.ok() && finished->empty()) {
        left.push_back(std::move(waiter));
        continue;
      }
      --waiting_;
      if (finished.ok()) {
        waiter.done(Reply{.number = 0, .finished = *std::move(finished)});
      } else {
        waiter.done(finished.status());
      }
    }
    it->second = std::move(left);
  }
  new_waiters_.clear();
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    std::deque<Waiter>& waiters = it->second;
    for (Waiter& waiter : waiters) {
      if (waiter.deadline > now.steady) continue;
      --waiting_;
      waiter.done(Reply());
    }
    waiters.erase(std::remove_if(waiters.begin(), waiters.end(),
                                 [&](const Waiter& waiter) { return waiter.deadline <= now.steady; }),
                  waiters.end());
    it = waiters.empty() ? waiters_.erase(it) : std::next(it);
  }
}

void Engine::StopTakingWork() {
  stopping_ = true;
  core_->StopLaunching();
}

void Engine::DismissWaiters() {
  for (auto& [queue, waiters] : waiters_) {
    for (Waiter& waiter : waiters) {
      waiter.done(absl::UnavailableError("the service is stopping; try again when it is back"));
    }
  }
  waiters_.clear();
  waiting_ = 0;
}

void Engine::PruneIfDue(const Instant& now) {
  if (options_.retention == absl::InfiniteDuration() || now.steady < next_prune_) return;
  next_prune_ = now.steady + kPruneInterval;
  absl::StatusOr<std::vector<GraphId>> pruned =
      writer_->Prune(now - std::max(options_.retention, kRememberRequests), kPruneBatch);
  if (!pruned.ok()) return;  // the next commit will say what is wrong with the history
  for (GraphId graph : *pruned) cluster_->Discard(graph);
  if (pruned->size() == kPruneBatch) next_prune_ = now.steady;  // there is more
}

}  // namespace kartograph::scheduler
