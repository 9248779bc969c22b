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

absl::Status Stopping() {
  return absl::UnavailableError("the service is stopping; try again when it is back");
}

absl::Status StillRunning(GraphId graph) {
  return absl::FailedPreconditionError(
      absl::StrCat("graph \"", planner::GraphIdToString(graph),
                   "\" is still running; cancel it or wait for its end first"));
}

absl::Status NoGraph(GraphId graph) {
  return absl::NotFoundError(absl::StrCat("no graph \"", planner::GraphIdToString(graph), "\""));
}

}  // namespace

Engine::Engine(SchedulerOptions options, storage::HistoryWriter* writer,
               storage::LongReader* reader, executor::Cluster* cluster, Background* background)
    : options_(std::move(options)),
      writer_(writer),
      reader_(reader),
      cluster_(cluster),
      background_(background),
      slice_(options_.slice_tasks),
      waiters_(reader, background) {}

absl::Status Engine::Recover(const Instant& now) {
  absl::StatusOr<absl::Time> retention_time = writer_->LastRetentionTime();
  if (!retention_time.ok()) return retention_time.status();
  pruner_.emplace(options_.retention, *retention_time, writer_, reader_, cluster_, background_);
  if (absl::Status status = writer_->AbandonSubmissions(); !status.ok()) return status;
  return LoadCore(now);
}

absl::Status Engine::LoadCore(const Instant& now) {
  absl::StatusOr<GraphId> last_graph = writer_->LastGraphId();
  if (!last_graph.ok()) return last_graph.status();
  absl::StatusOr<int64_t> last_delivery = writer_->LastDeliveryId();
  if (!last_delivery.ok()) return last_delivery.status();
  GraphLoader loader(GraphLoader::kResume);
  if (absl::Status status = writer_->VisitLive(loader); !status.ok()) return status;
  absl::StatusOr<std::vector<PreparedGraph>> graphs = loader.Finish();
  if (!graphs.ok()) return graphs.status();
  core_ = std::make_unique<Core>(
      CoreOptions{options_.pools, options_.max_graph_tasks, options_.slice_tasks},
      GraphTable::LastIds{*last_graph, *last_delivery});
  core_->mutable_totals() = totals_;
  for (PreparedGraph& graph : *graphs) core_->Install(std::move(graph), {now, step_});
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
    done(Stopping());
    return;
  }
  std::visit(
      [&](auto& c) {
        using C = std::decay_t<decltype(c)>;
        if constexpr (std::is_same_v<C, PopFinished>) {
          Pop(std::move(c), std::move(done));
        } else if constexpr (std::is_same_v<C, SubmitGraph>) {
          Submit(std::move(c), now, std::move(done));
        } else if constexpr (std::is_same_v<C, RetryGraph>) {
          Retry(std::move(c), now, std::move(done));
        } else {
          ApplyOnce(c, now, std::move(done));
        }
      },
      command);
}

std::optional<absl::StatusOr<int64_t>> Engine::AnswerOf(absl::string_view kind,
                                                        const std::string& request_id) {
  if (request_id.empty()) return std::nullopt;
  if (auto it = batch_answers_.find(request_id); it != batch_answers_.end()) {
    return Answered(kind, it->second);
  }
  absl::StatusOr<std::optional<std::string>> answer = writer_->FindRequest(request_id);
  if (!answer.ok()) return answer.status();
  if (!answer->has_value()) return std::nullopt;
  return Answered(kind, **answer);
}

void Engine::Remember(absl::string_view kind, const std::string& request_id, int64_t number,
                      const Instant& now) {
  if (request_id.empty()) return;
  std::string answer = absl::StrCat(kind, " ", number);
  batch_answers_[request_id] = answer;
  step_.records.emplace_back(storage::RequestAnswered{request_id, std::move(answer), now.wall});
}

void Engine::Answer(const absl::StatusOr<int64_t>& result, Done done) {
  answers_.push_back([done = std::move(done), result](const absl::Status& committed) {
    if (!result.ok()) return done(result.status());
    if (!committed.ok()) return done(committed);
    done(Reply{.number = *result, .finished = {}});
  });
}

template <typename Write>
void Engine::ApplyOnce(Write& write, const Instant& now, Done done) {
  if (!write_error_.ok()) {
    done(write_error_);
    return;
  }
  std::optional<absl::StatusOr<int64_t>> result = AnswerOf(Write::kKind, write.request_id);
  if (!result.has_value()) {
    result = Do(write, now);
    if (result->ok()) Remember(Write::kKind, write.request_id, **result, now);
  }
  Answer(*result, std::move(done));
}

absl::StatusOr<int64_t> Engine::Do(SubmitGraph& submit, const Instant& now) {
  absl::StatusOr<GraphId> id = core_->SubmitGraph(std::move(submit.graph), {now, step_});
  if (!id.ok()) return id.status();
  return int64_t{*id};
}

void Engine::Submit(SubmitGraph submit, const Instant& now, Done done) {
  if (static_cast<int64_t>(submit.graph.size()) <= options_.slice_tasks || !write_error_.ok()) {
    ApplyOnce(submit, now, std::move(done));
    return;
  }
  for (Submission& other : submissions_) {
    if (submit.request_id.empty() || other.request_id != submit.request_id) continue;
    other.done.push_back(std::move(done));
    return;
  }
  if (auto answer = AnswerOf(SubmitGraph::kKind, submit.request_id); answer.has_value()) {
    Answer(*answer, std::move(done));
    return;
  }
  if (submissions_.size() >= options_.max_submissions) {
    done(absl::ResourceExhaustedError(absl::StrCat(
        options_.max_submissions, " large graphs are being written already; try again")));
    return;
  }
  if (absl::Status status = core_->Check(submit.graph); !status.ok()) {
    Answer(status, std::move(done));
    return;
  }
  LiveGraph& graph = *submit.graph.live;
  graph.id = core_->NewGraphId();
  graph.submit_time = now.wall;
  step_.records.emplace_back(storage::GraphSubmitted{graph.id, graph.name, graph.client_queue,
                                                     graph.fail_fast, graph.open, now.wall,
                                                     storage::GraphWork::kSubmitting});
  Submission& submission = submissions_.emplace_back();
  submission.request_id = std::move(submit.request_id);
  submission.graph = std::move(submit.graph);
  submission.done.push_back(std::move(done));
}

// A slice of the tasks of large graphs, one graph after the other.
void Engine::WriteSubmissions(const Instant& now) {
  int64_t left = slice_;
  while (left > 0 && !submissions_.empty()) {
    Submission& submission = submissions_.front();
    const size_t tasks = submission.graph.size();
    for (; left > 0 && submission.next < tasks; --left, ++submission.next) {
      step_.records.emplace_back(submission.graph.TaskRecord(submission.next));
    }
    if (submission.next < tasks) break;
    const GraphId id = submission.graph.live->id;
    step_.records.emplace_back(storage::GraphChanged{
        id, planner::GraphState::kRunning, submission.graph.live->open, absl::InfiniteFuture()});
    Remember(SubmitGraph::kKind, submission.request_id, id, now);
    core_->Install(std::move(submission.graph), {now, step_});
    for (Done& done : submission.done) Answer(int64_t{id}, std::move(done));
    submissions_.pop_front();
  }
  sliced_ = sliced_ || left == 0;
}

void Engine::RefuseSubmissions(const absl::Status& why) {
  for (const Submission& submission : std::exchange(submissions_, {})) {
    for (const Done& done : submission.done) done(why);
  }
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
    return NoGraph(add.graph);
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

void Engine::Retry(RetryGraph retry, const Instant& now, Done done) {
  if (!write_error_.ok()) {
    done(write_error_);
    return;
  }
  if (auto answer = AnswerOf(RetryGraph::kKind, retry.request_id); answer.has_value()) {
    Answer(*answer, std::move(done));
    return;
  }
  const GraphId graph = retry.graph;
  // A graph that ended in this very batch is not in the history yet as ended.
  const bool just_ended =
      std::any_of(step_.ended_graphs.begin(), step_.ended_graphs.end(),
                  [&](const Step::EndedGraph& ended) { return ended.snapshot.graph == graph; });
  if (just_ended) {
    done(absl::UnavailableError("the graph is ending just now; try again"));
    return;
  }
  if (core_->IsLive(graph)) {
    Answer(StillRunning(graph), std::move(done));
    return;
  }
  if (loading_.size() >= options_.max_submissions || !loading_.insert(graph).second) {
    done(absl::UnavailableError("the graph is about to run again; try again"));
    return;
  }
  auto loaded = std::make_shared<LoadedRetry>();
  loaded->request_id = std::move(retry.request_id);
  loaded->graph = graph;
  loaded->loaded = Stopping();
  background_->Run(
      Background::kGraphs, now,
      {.work =
           [reader = reader_, loaded] {
             GraphLoader loader(GraphLoader::kRetry);
             if (absl::Status status = reader->VisitGraph(loaded->graph, loader); !status.ok()) {
               loaded->loaded = absl::IsNotFound(status) ? NoGraph(loaded->graph) : status;
               return;
             }
             absl::StatusOr<std::vector<PreparedGraph>> graphs = loader.Finish();
             if (graphs.ok()) {
               loaded->loaded = std::move(graphs->front());
             } else {
               loaded->loaded = graphs.status();
             }
           },
       .then =
           [this, loaded, done = std::move(done)](const Instant& later) {
             loading_.erase(loaded->graph);
             if (stopping_) {
               done(Stopping());
             } else {
               ApplyOnce(*loaded, later, done);
             }
           }});
}

absl::StatusOr<int64_t> Engine::Do(LoadedRetry& retry, const Instant& now) {
  if (!retry.loaded.ok()) return retry.loaded.status();
  if (core_->IsLive(retry.graph)) return StillRunning(retry.graph);
  // It may have been pruned since it was read.
  if (!HasEnded(retry.graph)) return NoGraph(retry.graph);
  const int64_t tasks = static_cast<int64_t>(retry.loaded->reset.size());
  // Without any the graph stays final.
  if (tasks > 0) core_->Install(*std::move(retry.loaded), {now, step_});
  return tasks;
}

void Engine::Pop(PopFinished pop, Done done) {
  if (!write_error_.ok() && !pop.acknowledge.empty()) {
    done(write_error_);
    return;
  }
  if (waiters_.size() >= options_.max_waiters) {
    done(absl::ResourceExhaustedError(
        "too many calls wait for finished tasks already; end some of them, or raise kartographd "
        "--max-waiting"));
    return;
  }
  for (int64_t id : pop.acknowledge) {
    step_.records.emplace_back(storage::FinishedAcknowledged{pop.client_queue, id});
  }
  waiters_.Add(std::move(pop), std::move(done));
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
  if (!write_error_.ok()) return std::min(wake, write_retry_);
  if (!own_events_.empty() || !submissions_.empty() || core_->HasWork()) {
    return SteadyTime::InfinitePast();
  }
  return std::min({wake, core_->NextTimer(), pruner_->NextTime()});
}

void Engine::EndBatch(const Instant& now) {
  if (!write_error_.ok() && now.steady >= write_retry_) {
    // Whether the history can be written again is found out by writing.
    if (absl::Status status = writer_->AbandonSubmissions(); status.ok()) {
      write_error_ = absl::OkStatus();
      pruner_->Remove();
      for (executor::ClusterEvent& event : core_->AdoptableState()) {
        core_->OnClusterEvent(std::move(event), {now, step_});
      }
    } else {
      RefuseWrites(status, now);
    }
  }
  if (write_error_.ok()) {
    std::vector<executor::ClusterEvent> own = std::move(own_events_);
    own_events_.clear();
    OnClusterEvents(std::move(own), now);
    core_->OnTime({now, step_});
    sliced_ = core_->HasWork();
    core_->ContinueWork(slice_, {now, step_});
    WriteSubmissions(now);
    // What the work takes is measured, in a simulation too.
    const SteadyTime planned = Clock::System().SteadyNow();
    core_->Plan({now, step_});
    const SteadyTime before = Clock::System().SteadyNow();
    core_->mutable_totals().plan_time += before - planned;
    if (!step_.records.empty()) {
      absl::Status status = writer_->Commit(step_.records);
      const absl::Duration took = Clock::System().SteadyNow() - before;
      Totals& totals = core_->mutable_totals();
      totals.commit_time += took;
      ++totals.commits;
      totals.records += static_cast<int64_t>(step_.records.size());
      if (!status.ok()) {
        CommitFailed(status, now);
        return;
      }
      write_backoff_ = absl::ZeroDuration();
      if (sliced_) AdaptSlice(took);
    }
    ApplyEffects();
    if (!watchers_.empty()) NotifyWatchers();
    for (const std::string& queue : step_.finished_queues) waiters_.Announce(queue);
    for (auto& answer : answers_) answer(absl::OkStatus());
    answers_.clear();
    batch_answers_.clear();
    batch_tasks_.clear();
    step_.Clear();
    pruner_->Work(now, slice_, step_.records);
  }
  waiters_.Serve(now);
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
  RefuseWrites(status, now);
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
      // One that cannot be read holds no other back.
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
  RefuseSubmissions(Stopping());
}

void Engine::DismissWaiters() { waiters_.Dismiss(Stopping()); }

}  // namespace kartograph::scheduler
