// The commands: what each does to the core, and what it is answered.
#include <algorithm>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "planner/problems.h"
#include "planner/task_graph.h"
#include "scheduler/engine.h"

namespace kartograph::scheduler {

using planner::GraphId;
using planner::TaskIndex;
using planner::TaskKey;

namespace {

absl::Status StillRunning(GraphId graph) {
  return absl::FailedPreconditionError(
      absl::StrCat("graph \"", planner::GraphIdToString(graph),
                   "\" is still running; cancel it or wait for its end first"));
}

absl::Status UsedOtherwise() {
  return absl::InvalidArgumentError(
      "this request_id was used for a different call before; make a new one for every write");
}

absl::Status NoGraph(GraphId graph) {
  return absl::NotFoundError(absl::StrCat("no graph \"", planner::GraphIdToString(graph), "\""));
}

}  // namespace

// "submit 17 0 8f3a...": the kind, two numbers, and the digest where there is one.
absl::StatusOr<Engine::Counts> Engine::Answered(absl::string_view kind, uint64_t digest,
                                                absl::string_view answer) {
  Counts counts = 0;
  if (absl::ConsumePrefix(&answer, kind) && absl::ConsumePrefix(&answer, " ")) {
    const std::vector<absl::string_view> parts = absl::StrSplit(answer, ' ');
    uint64_t first_digest = 0;
    const bool readable = parts.size() <= 3 && absl::SimpleAtoi(parts[0], &counts.number) &&
                          (parts.size() < 2 || absl::SimpleAtoi(parts[1], &counts.skipped)) &&
                          (parts.size() < 3 || absl::SimpleHexAtoi(parts[2], &first_digest));
    const bool same = digest == 0 || first_digest == 0 || digest == first_digest;
    if (readable && same) return counts;
  }
  return UsedOtherwise();
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
        } else if constexpr (std::is_same_v<C, StopWaiting>) {
          waiters_.Stop(c);
          done(Reply());
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
                                                               const RequestId& request_id) {
  if (request_id.empty()) return std::nullopt;
  if (auto it = batch_answers_.find(request_id.id); it != batch_answers_.end()) {
    return Answered(kind, request_id.digest, it->second);
  }
  absl::StatusOr<std::optional<std::string>> answer = writer_->FindRequest(request_id.id);
  if (!answer.ok()) return answer.status();
  if (!answer->has_value()) return std::nullopt;
  return Answered(kind, request_id.digest, **answer);
}

void Engine::Remember(absl::string_view kind, const RequestId& request_id, const Counts& counts,
                      const Instant& now) {
  if (request_id.empty()) return;
  std::string answer = absl::StrCat(kind, " ", counts.number);
  if (counts.skipped > 0 || request_id.digest != 0) absl::StrAppend(&answer, " ", counts.skipped);
  if (request_id.digest != 0) absl::StrAppend(&answer, " ", absl::Hex(request_id.digest));
  batch_answers_[request_id.id] = answer;
  step_.records.emplace_back(storage::RequestAnswered{request_id.id, std::move(answer), now.wall});
}

void Engine::Answer(const absl::StatusOr<Counts>& result, Done done) {
  answers_.push_back([done = std::move(done), result](const absl::Status& committed) {
    if (!result.ok()) return done(result.status());
    if (!committed.ok()) return done(committed);
    done(Reply{.number = result->number, .skipped = result->skipped});
  });
}

template <typename Write>
bool Engine::CanWrite() {
  if (write_error_.ok()) return true;
  constexpr bool kCancels =
      std::is_same_v<Write, CancelGraph> || std::is_same_v<Write, CancelTasks>;
  cancelling_ = cancelling_ || (kCancels && reserve_left_);
  return kCancels && reserve_left_;
}

template <typename Write>
void Engine::ApplyOnce(Write& write, const Instant& now, Done done) {
  if (!CanWrite<Write>()) {
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
    if (submit.request_id.empty() || other.request_id.id != submit.request_id.id) continue;
    if (other.request_id.digest != submit.request_id.digest) {
      done(UsedOtherwise());
    } else {
      other.done.push_back(std::move(done));
    }
    return;
  }
  if (auto answer = AnswerOf(SubmitGraph::kKind, submit.request_id); answer.has_value()) {
    Answer(*answer, std::move(done));
    return;
  }
  if (submissions_.size() >= options_.max_submissions) {
    done(absl::ResourceExhaustedError(absl::StrCat(
        options_.max_submissions, " large graphs are already being written; try again")));
    return;
  }
  if (absl::Status status = core_->Check(submit.graph); !status.ok()) {
    Answer(status, std::move(done));
    return;
  }
  LiveGraph& graph = *submit.graph.live;
  graph.id = core_->NewGraphId();
  graph.submit_time = now.wall;
  step_.records.emplace_back(submit.graph.GraphRecord(storage::GraphWork::kSubmitting));
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

absl::StatusOr<Engine::Counts> Engine::Do(AddTasks& add, const Instant& now) {
  const LiveGraph* live = core_->FindGraph(add.graph);
  if (live == nullptr) {
    if (!HasEnded(add.graph)) return NoGraph(add.graph);
    return absl::FailedPreconditionError(absl::StrCat(
        "graph \"", planner::GraphIdToString(add.graph), "\" has ended and takes no more tasks"));
  }
  const TaskIndex first = static_cast<TaskIndex>(live->tasks.size());
  std::vector<std::string> names;
  for (size_t i = 0; i < add.tasks.size(); ++i) {
    std::string& name = add.tasks[i].name;
    if (name.empty()) name = GeneratedTaskName(first + static_cast<TaskIndex>(i));
    names.push_back(name);
  }
  absl::StatusOr<std::vector<std::vector<TaskIndex>>> after = Resolve(add, first);
  if (!after.ok()) return after.status();
  absl::StatusOr<TaskKey> key =
      core_->AddTasks(add.graph, std::move(add.tasks), *std::move(after), {now, step_});
  if (!key.ok()) return key.status();
  for (size_t i = 0; i < names.size(); ++i) {
    batch_tasks_[{add.graph, std::move(names[i])}] =
        TaskKey::Of(add.graph, first + static_cast<TaskIndex>(i));
  }
  return static_cast<int64_t>(key->value);
}

// What each of them comes after: tasks of the graph, and others of them, as if these were there.
absl::StatusOr<std::vector<std::vector<TaskIndex>>> Engine::Resolve(const AddTasks& add,
                                                                    TaskIndex first) {
  std::vector<std::vector<TaskIndex>> after(add.tasks.size());
  std::vector<std::vector<absl::string_view>> among(add.tasks.size());
  std::vector<planner::Problem> problems;
  absl::flat_hash_set<absl::string_view> added;
  for (const TaskSubmission& task : add.tasks) added.insert(task.name);
  std::vector<planner::TaskNode> nodes;
  for (size_t i = 0; i < add.tasks.size(); ++i) {
    const TaskSubmission& task = add.tasks[i];
    if (absl::StatusOr<TaskKey> same = FindTask(add.graph, task.name); same.ok()) {
      return absl::AlreadyExistsError(absl::StrCat("graph \"", planner::GraphIdToString(add.graph),
                                                   "\" already has a task \"", task.name,
                                                   "\"; give another name"));
    } else if (!absl::IsNotFound(same.status())) {
      return same.status();
    }
    for (const std::string& name : task.after) {
      if (added.contains(name)) {
        among[i].push_back(name);
        continue;
      }
      absl::StatusOr<TaskKey> before = FindTask(add.graph, name);
      if (before.ok()) {
        after[i].push_back(before->index());
      } else if (absl::IsNotFound(before.status())) {
        problems.push_back({absl::StrCat("tasks[\"", task.name, "\"].after"), name,
                            "no task of the graph has this name"});
      } else {
        return before.status();
      }
    }
    nodes.push_back({task.name, among[i]});
  }
  const std::optional<planner::Adjacency> predecessors =
      planner::FindPredecessors(nodes, &problems);
  if (!problems.empty()) return planner::ProblemsToStatus(problems);
  for (size_t i = 0; i < add.tasks.size(); ++i) {
    for (TaskIndex before : (*predecessors)[static_cast<TaskIndex>(i)]) {
      after[i].push_back(first + before);
    }
  }
  return after;
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
           [reader = reader_, usage = &usage_, retry] {
             // Where tasks are named, the others stay as they are.
             GraphLoader loader(
                 retry->task_names.empty() ? GraphLoader::kRetry : GraphLoader::kResume, usage);
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
  // Until it is gone it must not run again: new deliveries would be lost with it.
  if (!loading_.insert(forget.graph).second) {
    done(absl::UnavailableError("the graph is about to run again; try again"));
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
             loading_.erase(checked->graph);
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
             acknowledged_.emplace_back(deletion->client_queue, std::move(**found));
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

void Engine::AnnouncePool(const storage::PoolChanged& change, const planner::ResourceVector& before,
                          const planner::ResourceVector& after) {
  if (!options_.on_pool_changed) return;
  const std::optional<planner::Resource> pool = planner::Resource::Find(change.pool);
  PoolChange said{change.pool, pool ? before.Get(*pool) : planner::Quantity(),
                  pool ? after.Get(*pool) : planner::Quantity(), change.by,
                  change.by == kBySettings};
  answers_.push_back([this, said = std::move(said)](const absl::Status& committed) {
    if (committed.ok()) options_.on_pool_changed(said);
  });
}

absl::Status Engine::ChangePools(PoolSettings pools, std::vector<storage::PoolChanged> changes,
                                 const Instant& now) {
  const planner::ResourceVector before = pools_.pools();
  const planner::ResourceVector after = pools.pools();
  if (absl::Status status = core_->SetPools(after, pools.overrides(), {now, step_}); !status.ok()) {
    return status;
  }
  pools_ = std::move(pools);
  for (storage::PoolChanged& change : changes) {
    AnnouncePool(change, before, after);
    step_.records.emplace_back(std::move(change));
  }
  return absl::OkStatus();
}

absl::StatusOr<Engine::Counts> Engine::Do(SetPool& set, const Instant& now) {
  std::optional<planner::Resource> pool = planner::Resource::Find(set.pool);
  const bool is_new = !pool || pools_.pools().Get(*pool).is_zero();
  if (is_new && set.capacity) {
    const bool known = pool && pools_made_.contains(*pool);
    if (pools_.pools().size() >= kMaxPools || (!known && pools_made_.size() >= kMaxPoolsMade)) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "there are ", pools_.pools().size(), " pools, and ", pools_made_.size(),
          " were made since the service was started: more cannot be, take one of those"));
    }
    const absl::StatusOr<planner::Resource> interned = planner::Resource::Intern(set.pool);
    if (!interned.ok()) return interned.status();
    pool = *interned;
    if (*pool == planner::Resource::Cpu() || *pool == planner::Resource::Ram()) {
      return absl::InvalidArgumentError("cpu and ram belong to agents; they are no pools");
    }
    pools_made_.insert(*pool);
  }
  if (is_new && !set.capacity) {
    return absl::NotFoundError(absl::StrCat("no pool \"", set.pool, "\""));
  }
  const planner::Quantity before = pools_.pools().Get(*pool);
  PoolSettings pools = pools_;
  std::vector<storage::PoolChanged> changes;
  if (auto change = pools.Set(*pool, set.capacity, set.by, now.wall)) {
    changes.push_back(*std::move(change));
  }
  if (absl::Status status = ChangePools(std::move(pools), std::move(changes), now); !status.ok()) {
    return status;
  }
  return Counts(pools_.pools().Get(*pool).milli(), before.milli());
}

void Engine::Apply(const Reconfigure& change, const Instant& now, const Done& done) {
  // The settings are read at each start; that they overruled something is written.
  PoolSettings pools = pools_;
  std::vector<storage::PoolChanged> overruled = pools.SetSettings(change.pools, now.wall);
  absl::Status status = ChangePools(std::move(pools), std::move(overruled), now);
  if (!status.ok()) {
    done(status);
    return;
  }
  core_->SetSlots(change.slots, {now, step_});
  options_.pools = change.pools;
  options_.slots = change.slots;
  options_.retention = change.retention;
  options_.weights = change.weights;
  core_->SetWeights(change.weights);
  options_.caps = change.caps;
  core_->SetCaps(change.caps);
  options_.preempt_after = change.preempt_after;
  core_->SetPreemptAfter(change.preempt_after);
  pruner_->SetRetention(change.retention);
  done(Reply());
}

void Engine::Pop(PopFinished pop, const Instant& now, Done done) {
  if (pop.acknowledge.empty()) {
    WaitForFinished(std::move(pop), now, std::move(done));
    return;
  }
  if (!write_error_.ok()) {
    done(write_error_);
    return;
  }
  for (int64_t id : pop.acknowledge) {
    step_.records.emplace_back(storage::FinishedAcknowledged{pop.client_queue, id});
  }
  acknowledged_.emplace_back(pop.client_queue, std::move(pop.acknowledge));
  answers_.push_back([this, pop = std::move(pop), now,
                      done = std::move(done)](const absl::Status& committed) mutable {
    if (committed.ok()) {
      WaitForFinished(std::move(pop), now, std::move(done));
    } else {
      done(committed);
    }
  });
}

void Engine::WaitForFinished(PopFinished pop, const Instant& now, Done done) {
  if (pop.max_tasks > 0 && waiters_.size() >= options_.max_waiters) {
    done(
        absl::ResourceExhaustedError("too many calls are already waiting for finished tasks; end "
                                     "some of them, or raise kartographd "
                                     "--max-waiting"));
    return;
  }
  waiters_.Add(std::move(pop), now, std::move(done));
}

}  // namespace kartograph::scheduler
