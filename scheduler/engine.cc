#include "scheduler/engine.h"

#include <algorithm>
#include <utility>

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

absl::Status Engine::Recover(absl::Time now) { return LoadCore(now); }

absl::Status Engine::LoadCore(absl::Time now) {
  absl::StatusOr<GraphId> last_graph = writer_->LastGraphId();
  if (!last_graph.ok()) return last_graph.status();
  absl::StatusOr<int64_t> last_delivery = writer_->LastDeliveryId();
  if (!last_delivery.ok()) return last_delivery.status();
  core_ = std::make_unique<Core>(CoreOptions{options_.pools, options_.max_graph_tasks},
                                 Core::Numbers{*last_graph, *last_delivery});
  core_->mutable_totals() = totals_;
  Core::Loader loader(*core_);
  if (absl::Status status = writer_->VisitLive(loader); !status.ok()) return status;
  core_->FinishLoading(loader, now, &step_);
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

void Engine::Write(absl::string_view kind, const std::string& request_id, absl::Time now,
                   const std::function<absl::StatusOr<int64_t>()>& apply, Callback<int64_t> done) {
  if (stopping_) {
    done(absl::UnavailableError("the service is stopping; try again when it is back"));
    return;
  }
  if (!write_error_.ok()) {
    done(write_error_);
    return;
  }
  absl::StatusOr<int64_t> result = int64_t{0};
  bool is_new = true;
  if (!request_id.empty()) {
    if (auto it = batch_answers_.find(request_id); it != batch_answers_.end()) {
      result = Answered(kind, it->second);
      is_new = false;
    } else {
      absl::StatusOr<std::optional<std::string>> answer = writer_->FindRequest(request_id);
      if (!answer.ok()) {
        done(answer.status());
        return;
      }
      if (answer->has_value()) {
        result = Answered(kind, **answer);
        is_new = false;
      }
    }
  }
  if (is_new) {
    result = apply();
    if (result.ok() && !request_id.empty()) {
      std::string answer = absl::StrCat(kind, " ", *result);
      batch_answers_[request_id] = answer;
      step_.records.emplace_back(storage::RequestAnswered{request_id, std::move(answer), now});
    }
  }
  answers_.push_back([done = std::move(done), result](const absl::Status& committed) {
    if (committed.ok() || !result.ok()) {
      done(result);
    } else {
      done(committed);
    }
  });
}

void Engine::SubmitGraph(const std::string& request_id, GraphSubmission graph, absl::Time now,
                         Callback<GraphId> done) {
  Write(
      "submit", request_id, now,
      [&]() -> absl::StatusOr<int64_t> {
        absl::StatusOr<GraphId> id = core_->SubmitGraph(std::move(graph), now, &step_);
        if (!id.ok()) return id.status();
        return int64_t{*id};
      },
      [done = std::move(done)](absl::StatusOr<int64_t> id) {
        if (!id.ok()) return done(id.status());
        done(static_cast<GraphId>(*id));
      });
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

void Engine::AddTask(const std::string& request_id, GraphId graph, TaskSubmission task,
                     absl::Time now, Callback<TaskKey> done) {
  Write(
      "add", request_id, now,
      [&]() -> absl::StatusOr<int64_t> {
        std::vector<planner::Problem> problems;
        std::vector<TaskIndex> after;
        const LiveGraph* live = core_->FindGraph(graph);
        if (live == nullptr) {
          const std::string id = planner::GraphIdToString(graph);
          if (HasEnded(graph)) {
            return absl::FailedPreconditionError(
                absl::StrCat("graph \"", id, "\" has ended and takes no more tasks"));
          }
          return absl::NotFoundError(absl::StrCat("no graph \"", id, "\""));
        }
        if (absl::StatusOr<TaskKey> same = FindTask(graph, task.name); same.ok()) {
          problems.push_back({"task.name", task.name,
                              "is the name of a task of this graph already; give another"});
        } else if (!absl::IsNotFound(same.status())) {
          return same.status();
        }
        for (const std::string& name : task.after) {
          absl::StatusOr<TaskKey> before = FindTask(graph, name);
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
            core_->AddTask(graph, std::move(task), std::move(after), now, &step_);
        if (!key.ok()) return key.status();
        batch_tasks_[{graph, std::move(name)}] = *key;
        return static_cast<int64_t>(key->value);
      },
      [done = std::move(done)](absl::StatusOr<int64_t> key) {
        if (!key.ok()) return done(key.status());
        done(TaskKey{static_cast<uint64_t>(*key)});
      });
}

void Engine::CloseGraph(const std::string& request_id, GraphId graph, absl::Time now,
                        Callback<bool> done) {
  Write(
      "close", request_id, now,
      [&]() -> absl::StatusOr<int64_t> {
        absl::Status status = core_->CloseGraph(graph, now, &step_);
        // A graph that has ended is as closed as can be.
        if (absl::IsNotFound(status) && HasEnded(graph)) {
          status = absl::OkStatus();
        }
        if (!status.ok()) return status;
        return int64_t{1};
      },
      [done = std::move(done)](absl::StatusOr<int64_t> closed) {
        if (!closed.ok()) return done(closed.status());
        done(true);
      });
}

namespace {

Engine::Callback<int64_t> AsInt(Engine::Callback<int> done) {
  return [done = std::move(done)](absl::StatusOr<int64_t> n) {
    if (!n.ok()) return done(n.status());
    done(static_cast<int>(*n));
  };
}

absl::StatusOr<int64_t> AsInt64(absl::StatusOr<int> n) {
  if (!n.ok()) return n.status();
  return int64_t{*n};
}

}  // namespace

void Engine::CancelGraph(const std::string& request_id, GraphId graph, absl::Time now,
                         Callback<int> done) {
  Write(
      "cancel", request_id, now,
      [&]() -> absl::StatusOr<int64_t> {
        // Nothing is left to cancel in a graph that has ended.
        if (!core_->IsLive(graph) && HasEnded(graph)) return 0;
        return AsInt64(core_->CancelGraph(graph, now, &step_));
      },
      AsInt(std::move(done)));
}

void Engine::CancelTask(const std::string& request_id, GraphId graph, const std::string& task_name,
                        absl::Time now, Callback<int> done) {
  Write(
      "cancel", request_id, now,
      [&]() -> absl::StatusOr<int64_t> {
        absl::StatusOr<TaskKey> key = FindTask(graph, task_name);
        if (absl::IsNotFound(key.status())) {
          return absl::NotFoundError(absl::StrCat("no task \"", task_name, "\" in graph \"",
                                                  planner::GraphIdToString(graph), "\""));
        }
        if (!key.ok()) return key.status();
        if (!core_->IsLive(graph)) return 0;
        return AsInt64(core_->CancelTask(*key, now, &step_));
      },
      AsInt(std::move(done)));
}

absl::StatusOr<int> Engine::ApplyRetry(GraphId graph, absl::Time now) {
  if (core_->IsLive(graph)) {
    return absl::FailedPreconditionError(
        absl::StrCat("graph \"", planner::GraphIdToString(graph),
                     "\" is still running; cancel it or wait for its end first"));
  }
  Core::Loader loader(*core_);
  loader.Retry();
  if (absl::Status status = writer_->VisitGraph(graph, loader); !status.ok()) {
    if (!absl::IsNotFound(status)) return status;
    return absl::NotFoundError(absl::StrCat("no graph \"", planner::GraphIdToString(graph), "\""));
  }
  if (absl::Status status = loader.CheckLaunchesLeft(); !status.ok()) return status;
  core_->FinishLoading(loader, now, &step_);
  return loader.retried();
}

void Engine::RetryGraph(const std::string& request_id, GraphId graph, absl::Time now,
                        Callback<int> done) {
  // A graph that ended in this very batch is not in the history yet as ended.
  const bool just_ended =
      std::any_of(step_.ended_graphs.begin(), step_.ended_graphs.end(),
                  [&](const Step::EndedGraph& ended) { return ended.snapshot.graph == graph; });
  if (just_ended) {
    done(absl::UnavailableError("the graph is ending just now; try again"));
    return;
  }
  Write(
      "retry", request_id, now, [&] { return AsInt64(ApplyRetry(graph, now)); },
      AsInt(std::move(done)));
}

void Engine::PopFinished(std::string client_queue, std::vector<int64_t> acknowledge, int max_tasks,
                         int64_t max_bytes, absl::Time deadline,
                         Callback<std::vector<storage::Finished>> done) {
  if (stopping_) {
    done(absl::UnavailableError("the service is stopping; try again when it is back"));
    return;
  }
  if (!write_error_.ok() && !acknowledge.empty()) {
    done(write_error_);
    return;
  }
  for (int64_t id : acknowledge) {
    step_.records.emplace_back(storage::FinishedAcknowledged{client_queue, id});
  }
  new_waiters_.insert(client_queue);
  waiters_[std::move(client_queue)].push_back({max_tasks, max_bytes, deadline, std::move(done)});
}

// --- events ---

void Engine::OnClusterEvents(std::vector<executor::ClusterEvent> events, absl::Time now) {
  for (executor::ClusterEvent& event : events) {
    // While nothing can be written, the ends of attempts stay with the cluster, which is asked for
    // them again.
    if (auto* update = std::get_if<executor::AttemptUpdate>(&event);
        update != nullptr && !write_error_.ok() && core_->IsAlive(update->attempt)) {
      continue;
    }
    core_->OnClusterEvent(std::move(event), now, &step_);
  }
}

absl::Time Engine::NextWake() const {
  absl::Time wake = write_error_.ok() ? core_->NextTimer() : write_retry_;
  if (!own_events_.empty()) wake = absl::InfinitePast();
  for (const auto& [queue, waiters] : waiters_) {
    for (const Waiter& waiter : waiters) wake = std::min(wake, waiter.deadline);
  }
  if (options_.retention < absl::InfiniteDuration()) wake = std::min(wake, next_prune_);
  return wake;
}

void Engine::EndBatch(absl::Time now) {
  if (!write_error_.ok() && now >= write_retry_) {
    // Whether the history can be written again is found out by writing.
    write_error_ = absl::OkStatus();
    for (executor::ClusterEvent& event : core_->AdoptableState()) {
      core_->OnClusterEvent(std::move(event), now, &step_);
    }
  }
  if (write_error_.ok()) {
    std::vector<executor::ClusterEvent> own = std::move(own_events_);
    own_events_.clear();
    OnClusterEvents(std::move(own), now);
    core_->OnTime(now, &step_);
    const absl::Time planned = absl::Now();
    core_->Plan(now, &step_);
    const absl::Time before = absl::Now();
    core_->mutable_totals().plan_time += before - planned;
    if (!step_.records.empty()) {
      absl::Status status = writer_->Commit(step_.records);
      Totals& totals = core_->mutable_totals();
      totals.commit_time += absl::Now() - before;
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

void Engine::CommitFailed(const absl::Status& status, absl::Time now) {
  totals_ = core_->totals();
  if (absl::IsDataLoss(status)) fatal_error_ = status;
  write_error_ = absl::UnavailableError(
      absl::StrCat("the run history cannot be written, so nothing is accepted or launched: ",
                   std::string(status.message())));
  write_backoff_ = std::clamp(write_backoff_ * 2, kFirstWriteBackoff, kLastWriteBackoff);
  write_retry_ = now + write_backoff_;
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
    core_->OnClusterEvent(std::move(event), now, &step_);
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
  if (!step_.declined_offers.empty()) {
    std::vector<executor::OfferId> declined;
    declined.reserve(step_.declined_offers.size());
    for (executor::Offer& offer : step_.declined_offers) declined.push_back(std::move(offer.id));
    cluster_->Decline(declined);
  }
  if (step_.suppress) cluster_->Suppress();
  if (step_.revive) cluster_->Revive(*step_.revive);
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

void Engine::ServeWaiters(absl::Time now) {
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
      } else {
        waiter.done(std::move(finished));
      }
    }
    it->second = std::move(left);
  }
  new_waiters_.clear();
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    std::deque<Waiter>& waiters = it->second;
    for (Waiter& waiter : waiters) {
      if (waiter.deadline <= now) waiter.done(std::vector<storage::Finished>());
    }
    waiters.erase(std::remove_if(waiters.begin(), waiters.end(),
                                 [&](const Waiter& waiter) { return waiter.deadline <= now; }),
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
}

void Engine::PruneIfDue(absl::Time now) {
  if (options_.retention == absl::InfiniteDuration() || now < next_prune_) return;
  next_prune_ = now + kPruneInterval;
  absl::StatusOr<std::vector<GraphId>> pruned =
      writer_->Prune(now - std::max(options_.retention, kRememberRequests), kPruneBatch);
  if (!pruned.ok()) return;  // the next commit will say what is wrong with the history
  for (GraphId graph : *pruned) cluster_->Discard(graph);
  if (pruned->size() == kPruneBatch) next_prune_ = now;  // there is more
}

}  // namespace kartograph::scheduler
