#include "scheduler/engine.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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
      CoreOptions{options_.pools, options_.max_graph_tasks, options_.slice_tasks, options_.slots},
      GraphTable::LastIds{std::max(*last_graph, options_.last_graph_at_least),
                          std::max(*last_delivery, options_.last_delivery_at_least)});
  core_->mutable_totals() = totals_;
  for (PreparedGraph& graph : *graphs) core_->Install(std::move(graph), {now, step_});
  if (stopping_) core_->StopLaunching();
  return absl::OkStatus();
}

// --- writes ---

absl::StatusOr<Engine::Counts> Engine::Answered(absl::string_view kind,
                                                absl::string_view answer) const {
  Counts counts = 0;
  if (absl::ConsumePrefix(&answer, kind) && absl::ConsumePrefix(&answer, " ")) {
    const std::pair<absl::string_view, absl::string_view> numbers = absl::StrSplit(answer, ' ');
    if (absl::SimpleAtoi(numbers.first, &counts.number) &&
        (numbers.second.empty() || absl::SimpleAtoi(numbers.second, &counts.skipped))) {
      return counts;
    }
  }
  return absl::InvalidArgumentError(
      "this request_id was used for a different call before; make a new one for every write");
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
          Pop(std::move(c), now, std::move(done));
        } else if constexpr (std::is_same_v<C, Reconfigure>) {
          Apply(c, now, done);
        } else if constexpr (std::is_same_v<C, SubmitGraph>) {
          Submit(std::move(c), now, std::move(done));
        } else if constexpr (std::is_same_v<C, RetryTasks>) {
          Retry(std::move(c), now, std::move(done));
        } else if constexpr (std::is_same_v<C, ForgetGraph>) {
          Forget(std::move(c), now, std::move(done));
        } else if constexpr (std::is_same_v<C, DeleteQueue>) {
          Delete(std::move(c), now, std::move(done));
        } else {
          ApplyOnce(c, now, std::move(done));
        }
      },
      command);
}

std::optional<absl::StatusOr<Engine::Counts>> Engine::AnswerOf(absl::string_view kind,
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

void Engine::Remember(absl::string_view kind, const std::string& request_id, const Counts& counts,
                      const Instant& now) {
  if (request_id.empty()) return;
  std::string answer = absl::StrCat(kind, " ", counts.number);
  if (counts.skipped > 0) absl::StrAppend(&answer, " ", counts.skipped);
  batch_answers_[request_id] = answer;
  step_.records.emplace_back(storage::RequestAnswered{request_id, std::move(answer), now.wall});
}

void Engine::Answer(const absl::StatusOr<Counts>& result, Done done) {
  answers_.push_back([done = std::move(done), result](const absl::Status& committed) {
    if (!result.ok()) return done(result.status());
    if (!committed.ok()) return done(committed);
    done(Reply{.number = result->number, .skipped = result->skipped});
  });
}

template <typename Write>
void Engine::ApplyOnce(Write& write, const Instant& now, Done done) {
  if (!write_error_.ok()) {
    done(write_error_);
    return;
  }
  std::optional<absl::StatusOr<Counts>> result = AnswerOf(Write::kKind, write.request_id);
  if (!result.has_value()) {
    result = Do(write, now);
    if (result->ok()) Remember(Write::kKind, write.request_id, **result, now);
  }
  Answer(*result, std::move(done));
}

absl::StatusOr<Engine::Counts> Engine::Counted(absl::StatusOr<int64_t> tasks) {
  if (!tasks.ok()) return tasks.status();
  return *tasks;
}

absl::StatusOr<Engine::Counts> Engine::Do(SubmitGraph& submit, const Instant& now) {
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

absl::StatusOr<std::vector<TaskIndex>> Engine::FindTasks(GraphId graph,
                                                         const std::vector<std::string>& names) {
  std::vector<TaskIndex> tasks;
  tasks.reserve(names.size());
  for (const std::string& name : names) {
    absl::StatusOr<TaskKey> key = FindTask(graph, name);
    if (absl::IsNotFound(key.status())) {
      return absl::NotFoundError(absl::StrCat("no task \"", name, "\" in graph \"",
                                              planner::GraphIdToString(graph), "\""));
    }
    if (!key.ok()) return key.status();
    tasks.push_back(key->index());
  }
  return tasks;
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

absl::StatusOr<Engine::Counts> Engine::Do(AddTask& add, const Instant& now) {
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

absl::StatusOr<Engine::Counts> Engine::Do(CloseGraph& close, const Instant& now) {
  absl::Status status = core_->CloseGraph(close.graph, {now, step_});
  // A graph that has ended is as closed as can be.
  if (!status.ok() && !(absl::IsNotFound(status) && HasEnded(close.graph))) return status;
  return 1;
}

absl::StatusOr<Engine::Counts> Engine::Do(CancelGraph& cancel, const Instant& now) {
  // Nothing is left to cancel in a graph that has ended.
  if (!core_->IsLive(cancel.graph) && HasEnded(cancel.graph)) return 0;
  return Counted(core_->CancelGraph(cancel.graph, {now, step_}));
}

absl::StatusOr<Engine::Counts> Engine::Do(CancelTasks& cancel, const Instant& now) {
  absl::StatusOr<std::vector<TaskIndex>> tasks = FindTasks(cancel.graph, cancel.task_names);
  if (!tasks.ok()) return tasks.status();
  if (!core_->IsLive(cancel.graph)) return 0;
  const absl::StatusOr<Core::Cancelled> cancelled =
      core_->CancelTasks(cancel.graph, *std::move(tasks), {now, step_});
  if (!cancelled.ok()) return cancelled.status();
  return Counts(cancelled->tasks, cancelled->skipped);
}

// --- retries ---

// Such a graph is not in the history yet as ended.
bool Engine::EndsInThisBatch(GraphId graph) const {
  return std::any_of(
      step_.ended_graphs.begin(), step_.ended_graphs.end(),
      [graph](const Step::EndedGraph& ended) { return ended.snapshot.graph == graph; });
}

void Engine::Retry(RetryTasks retry, const Instant& now, Done done) {
  if (!write_error_.ok()) {
    done(write_error_);
    return;
  }
  if (auto answer = AnswerOf(RetryTasks::kKind, retry.request_id); answer.has_value()) {
    Answer(*answer, std::move(done));
    return;
  }
  const GraphId graph = retry.graph;
  if (EndsInThisBatch(graph)) {
    done(absl::UnavailableError("the graph is ending just now; try again"));
    return;
  }
  auto to_load = std::make_shared<LoadedRetry>();
  to_load->request_id = std::move(retry.request_id);
  to_load->graph = graph;
  to_load->task_names = std::move(retry.task_names);
  if (core_->IsLive(graph)) {
    ApplyOnce(*to_load, now, std::move(done));
  } else if (loading_.size() >= options_.max_submissions || !loading_.insert(graph).second) {
    done(absl::UnavailableError("the graph is about to run again; try again"));
  } else {
    Load(std::move(to_load), now, std::move(done));
  }
}

void Engine::Load(std::shared_ptr<LoadedRetry> retry, const Instant& now, Done done) {
  retry->loaded = Stopping();
  background_->Run(
      Background::kGraphs, now,
      {.work =
           [reader = reader_, retry] {
             // Where tasks are named, the others stay as they are.
             GraphLoader loader(retry->task_names.empty() ? GraphLoader::kRetry
                                                          : GraphLoader::kResume);
             if (absl::Status status = reader->VisitGraph(retry->graph, loader); !status.ok()) {
               retry->loaded = absl::IsNotFound(status) ? NoGraph(retry->graph) : status;
               return;
             }
             absl::StatusOr<std::vector<PreparedGraph>> graphs = loader.Finish();
             if (graphs.ok()) {
               retry->loaded = std::move(graphs->front());
             } else {
               retry->loaded = graphs.status();
             }
           },
       .then =
           [this, retry, done = std::move(done)](const Instant& later) {
             loading_.erase(retry->graph);
             if (stopping_) {
               done(Stopping());
             } else {
               ApplyOnce(*retry, later, done);
             }
           }});
}

absl::StatusOr<Engine::Counts> Engine::Do(LoadedRetry& retry, const Instant& now) {
  if (retry.loaded.has_value() && !retry.loaded->ok()) return retry.loaded->status();
  const bool live = core_->IsLive(retry.graph);
  if (live && retry.task_names.empty()) return StillRunning(retry.graph);
  if (!retry.task_names.empty()) {
    absl::StatusOr<std::vector<TaskIndex>> tasks = FindTasks(retry.graph, retry.task_names);
    if (!tasks.ok()) return tasks.status();
    if (live) return Counted(core_->RetryTasks(retry.graph, *tasks, {now, step_}));
    if (!HasEnded(retry.graph)) return NoGraph(retry.graph);
    return Counted(core_->RetryTasks(**std::move(retry.loaded), *tasks, {now, step_}));
  }
  // It may have been pruned since it was read.
  if (!HasEnded(retry.graph)) return NoGraph(retry.graph);
  const int64_t tasks = static_cast<int64_t>((*retry.loaded)->reset.size());
  // Without any the graph stays final.
  if (tasks > 0) core_->Install(**std::move(retry.loaded), {now, step_});
  return tasks;
}

// --- what is taken out of the history ---

void Engine::Forget(ForgetGraph forget, const Instant& now, Done done) {
  if (core_->IsLive(forget.graph) || EndsInThisBatch(forget.graph)) {
    done(StillRunning(forget.graph));
    return;
  }
  auto checked = std::make_shared<CheckedForget>();
  checked->request_id = std::move(forget.request_id);
  checked->graph = forget.graph;
  checked->has_deliveries = Stopping();
  background_->Run(
      Background::kRetention, now,
      {.work = [reader = reader_,
                checked] { checked->has_deliveries = reader->HasDeliveries(checked->graph); },
       .then =
           [this, checked, done = std::move(done)](const Instant& later) {
             if (stopping_) {
               done(Stopping());
             } else {
               ApplyOnce(*checked, later, done);
             }
           }});
}

absl::StatusOr<Engine::Counts> Engine::Do(CheckedForget& forget, const Instant&) {
  if (!forget.has_deliveries.ok()) return forget.has_deliveries.status();
  if (core_->IsLive(forget.graph)) return StillRunning(forget.graph);
  if (loading_.contains(forget.graph)) {
    return absl::UnavailableError("the graph is about to run again; try again");
  }
  const std::string id = planner::GraphIdToString(forget.graph);
  if (*forget.has_deliveries) {
    return absl::FailedPreconditionError(
        absl::StrCat("finished tasks of graph \"", id,
                     "\" wait in its client queue; acknowledge them or delete the queue first"));
  }
  absl::StatusOr<bool> forgotten = pruner_->Forget(forget.graph);
  if (!forgotten.ok()) return forgotten.status();
  if (!*forgotten) return NoGraph(forget.graph);
  return 1;
}

void Engine::Delete(DeleteQueue command, const Instant& now, Done done) {
  if (!write_error_.ok()) {
    done(write_error_);
    return;
  }
  if (auto answer = AnswerOf(DeleteQueue::kKind, command.request_id); answer.has_value()) {
    Answer(*answer, std::move(done));
    return;
  }
  absl::StatusOr<int64_t> last = writer_->LastDeliveryId();
  if (!last.ok()) {
    done(last.status());
    return;
  }
  auto deletion = std::make_shared<QueueDeletion>();
  deletion->request_id = std::move(command.request_id);
  deletion->client_queue = std::move(command.client_queue);
  deletion->last = *last;
  deletion->done = std::move(done);
  Continue(std::move(deletion), now);
}

// Reads some deliveries, acknowledges them, and goes on when that is committed.
void Engine::Continue(std::shared_ptr<QueueDeletion> deletion, const Instant& now) {
  auto found = std::make_shared<absl::StatusOr<std::vector<int64_t>>>(Stopping());
  background_->Run(
      Background::kDeliveries, now,
      {.work =
           [reader = reader_, deletion, found, most = static_cast<int>(options_.slice_tasks)] {
             *found = reader->DeliveriesOf(deletion->client_queue, most);
           },
       .then =
           [this, deletion, found](const Instant& later) {
             if (stopping_) *found = Stopping();
             if (found->ok() && !write_error_.ok()) *found = write_error_;
             if (!found->ok()) {
               deletion->done(found->status());
               return;
             }
             std::erase_if(**found, [&](int64_t id) { return id > deletion->last; });
             if ((*found)->empty()) {
               ApplyOnce(*deletion, later, deletion->done);
               return;
             }
             for (int64_t id : **found) {
               step_.records.emplace_back(
                   storage::FinishedAcknowledged{deletion->client_queue, id});
             }
             deletion->deleted += static_cast<int64_t>((*found)->size());
             acknowledged_.emplace_back(deletion->client_queue, **std::move(found));
             answers_.push_back([this, deletion, later](const absl::Status& committed) {
               if (committed.ok()) {
                 Continue(deletion, later);
               } else {
                 deletion->done(committed);
               }
             });
           }});
}

absl::StatusOr<Engine::Counts> Engine::Do(QueueDeletion& deletion, const Instant&) {
  return deletion.deleted;
}

// Not written: the settings are read at each start.
void Engine::Apply(const Reconfigure& change, const Instant& now, const Done& done) {
  absl::Status status = core_->Reconfigure(change.pools, change.slots, {now, step_});
  if (!status.ok()) {
    done(status);
    return;
  }
  options_.pools = change.pools;
  options_.slots = change.slots;
  options_.retention = change.retention;
  pruner_->SetRetention(change.retention);
  done(Reply());
}

void Engine::Pop(PopFinished pop, const Instant& now, Done done) {
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
  if (!pop.acknowledge.empty()) {
    acknowledged_.emplace_back(pop.client_queue, std::move(pop.acknowledge));
  }
  waiters_.Add(std::move(pop), now, std::move(done));
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
    for (const auto& [queue, deliveries] : std::exchange(acknowledged_, {})) {
      waiters_.Acknowledged(queue, deliveries);
    }
    for (const std::string& queue : step_.finished_queues) waiters_.Announce(queue);
    const auto answers = std::exchange(answers_, {});
    batch_answers_.clear();
    batch_tasks_.clear();
    step_.Clear();
    pruner_->Work(now, slice_, step_.records);
    // Last, as what they begin belongs to the next batch.
    for (const auto& answer : answers) answer(absl::OkStatus());
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
