#include "scheduler/testing/core_story.h"

#include <cstdio>
#include <cstdlib>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kartograph::scheduler {

using planner::AttemptId;
using planner::Outcome;
using planner::TaskKey;

namespace {

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "unexpected: %s\n", status.ToString().c_str());
  std::abort();
}

std::string Word(absl::string_view word) { return std::string(word); }

}  // namespace

CoreStory::CoreStory(planner::ResourceVector pools, int slots,
                     std::vector<planner::Resource> indexed)
    : options_{.pools = std::move(pools),
               .slots = slots,
               .indexed = std::move(indexed),
               .usage = &usage_},
      core_(std::make_unique<Core>(options_, GraphTable::LastIds())) {}

void CoreStory::Batch() {
  core_->OnTime({now_, step_});
  if (before_plan_) before_plan_();
  core_->Plan({now_, step_});
  usage_.SetCapacity(core_->capacity(), core_->pools());
  usage_.TakeChanges(&step_.records);
  Check(history_.Commit(step_.records));
  for (executor::Launch& launch : step_.launches) launches_.push_back(std::move(launch));
  for (const CancelEffect& cancel : step_.cancels) {
    cancels_.push_back(planner::AttemptIdToString(cancel.attempt));
    graces_.push_back(cancel.grace);
  }
  for (AttemptId id : step_.acknowledge) acknowledged_.push_back(planner::AttemptIdToString(id));
  for (const auto& known : step_.reconcile) {
    reconciled_.push_back(planner::AttemptIdToString(known.attempt));
  }
  for (const storage::Record& record : step_.records) {
    if (const auto* queued = std::get_if<storage::FinishedQueued>(&record)) {
      const MemoryHistory::Task& task = history_.task(queued->task);
      finished_.emplace_back(task.submitted.name, Word(planner::ToString(task.ended->state)));
    }
  }
  suppress_ |= step_.suppress;
  if (step_.revive) {
    revive_ = absl::StrJoin(*step_.revive, ", ", [](std::string* out, const auto& wanted) {
      absl::StrAppend(out, wanted.ToString());
    });
  }
  for (const executor::Offer& offer : step_.declined_offers) declined_.push_back(offer.id);
  step_.Clear();
  Check(core_->CheckInvariants());
}

void CoreStory::Notify(executor::ClusterEvent event) {
  core_->OnClusterEvent(std::move(event), {now_, step_});
  Batch();
}

void CoreStory::Notify(std::vector<executor::ClusterEvent> events) {
  for (executor::ClusterEvent& event : events) {
    core_->OnClusterEvent(std::move(event), {now_, step_});
  }
  Batch();
}

void CoreStory::Wait(absl::Duration time) {
  now_.steady += time;
  now_.wall += time;
  Batch();
}

void CoreStory::Agent(const std::string& name, planner::ResourceVector resources, int backlog,
                      Attributes attributes) {
  if (!core_->connected()) Connect();
  Notify(MakeLease(name, std::move(resources), backlog, std::move(attributes)));
}

executor::Offer CoreStory::MakeLease(const std::string& name, planner::ResourceVector resources,
                                     int backlog, Attributes attributes) {
  executor::Offer offer;
  offer.id = absl::StrCat("lease of ", name);
  offer.agent = name;
  offer.agent_name = name;
  offer.resources = std::move(resources);
  offer.lease = true;
  offer.backlog = backlog;
  offer.attributes = std::move(attributes);
  return offer;
}

void CoreStory::Offer(const std::string& id, const std::string& agent,
                      planner::ResourceVector resources) {
  if (!core_->connected()) Connect();
  Notify(MakeOffer(id, agent, std::move(resources)));
}

executor::Offer CoreStory::MakeOffer(const std::string& id, const std::string& agent,
                                     planner::ResourceVector resources) {
  executor::Offer offer;
  offer.id = id;
  offer.agent = agent;
  offer.agent_name = agent;
  offer.resources = std::move(resources);
  return offer;
}

planner::GraphId CoreStory::Submit(const Graph& graph) {
  Check(TrySubmit(graph));
  return graph_;
}

absl::Status CoreStory::TrySubmit(const Graph& graph) {
  absl::StatusOr<planner::GraphId> id =
      core_->SubmitGraph(Prepare(graph.Get(), &usage_), {now_, step_});
  if (id.ok()) graph_ = *id;
  Batch();
  return id.status();
}

absl::Status CoreStory::Add(const Task& task) {
  std::vector<planner::TaskIndex> after;
  for (const std::string& name : task.Get().after) after.push_back(Key(name).index());
  absl::Status status =
      core_->AddTasks(graph_, {task.Get()}, {std::move(after)}, {now_, step_}).status();
  Batch();
  return status;
}

absl::Status CoreStory::Close() {
  absl::Status status = core_->CloseGraph(graph_, {now_, step_});
  Batch();
  return status;
}

absl::StatusOr<int64_t> CoreStory::CancelGraph() {
  absl::StatusOr<int64_t> cancelled = core_->CancelGraph(graph_, {now_, step_});
  Batch();
  return cancelled;
}

absl::StatusOr<int64_t> CoreStory::Cancel(absl::string_view task) {
  const absl::StatusOr<Core::Cancelled> cancelled = CancelAll({task});
  if (!cancelled.ok()) return cancelled.status();
  return cancelled->tasks;
}

absl::StatusOr<Core::Cancelled> CoreStory::CancelAll(const std::vector<absl::string_view>& tasks) {
  std::vector<planner::TaskIndex> indexes;
  for (absl::string_view task : tasks) indexes.push_back(Key(task).index());
  absl::StatusOr<Core::Cancelled> cancelled =
      core_->CancelTasks(graph_, std::move(indexes), {now_, step_});
  Batch();
  return cancelled;
}

absl::StatusOr<int64_t> CoreStory::RetryAll(const std::vector<absl::string_view>& tasks) {
  std::vector<planner::TaskIndex> indexes;
  for (absl::string_view task : tasks) indexes.push_back(Key(task).index());
  absl::StatusOr<int64_t> retried = core_->RetryTasks(graph_, indexes, {now_, step_});
  Batch();
  return retried;
}

executor::AttemptUpdate CoreStory::Update(absl::string_view task, Outcome outcome) {
  executor::AttemptUpdate update;
  update.attempt = Newest(task);
  update.agent = history_.task(Key(task)).attempts.rbegin()->second.first.agent;
  update.outcome = outcome;
  return update;
}

void CoreStory::Queued(absl::string_view task) { Notify(Update(task, Outcome::kNone)); }

void CoreStory::Runs(absl::string_view task) {
  executor::AttemptUpdate update = Update(task, Outcome::kNone);
  update.start_time = now_.wall;
  Notify(std::move(update));
}

void CoreStory::OutOfReach(absl::string_view task) {
  executor::AttemptUpdate update = Update(task, Outcome::kNone);
  update.unreachable = true;
  Notify(std::move(update));
}

void CoreStory::Succeeds(absl::string_view task, absl::Duration wall_time) {
  executor::AttemptUpdate update = Update(task, Outcome::kSucceeded);
  update.start_time = now_.wall - wall_time;
  update.end_time = now_.wall;
  update.usage.wall_time = wall_time;
  Notify(std::move(update));
}

void CoreStory::Fails(absl::string_view task) {
  executor::AttemptUpdate update = Update(task, Outcome::kExited);
  update.exit_status = 1;
  update.usage.wall_time = absl::Minutes(1);
  Notify(std::move(update));
}

void CoreStory::Ends(absl::string_view task, Outcome outcome, std::string message) {
  executor::AttemptUpdate update = Update(task, outcome);
  update.message = std::move(message);
  Notify(std::move(update));
}

void CoreStory::Restart() {
  Check(usage_.Load(*history_.Kinds()));
  core_ = std::make_unique<Core>(
      options_, GraphTable::LastIds{*history_.LastGraphId(), *history_.LastDeliveryId()});
  GraphLoader loader(GraphLoader::kResume, &usage_);
  Check(history_.VisitLive(loader));
  std::vector<PreparedGraph> graphs = *loader.Finish();
  for (PreparedGraph& graph : graphs) core_->Install(std::move(graph), {now_, step_});
  Batch();
}

int CoreStory::Retry() {
  GraphLoader loader(GraphLoader::kRetry, &usage_);
  Check(history_.VisitGraph(graph_, loader));
  PreparedGraph graph = std::move(loader.Finish()->front());
  const int tasks = static_cast<int>(graph.reset.size());
  if (tasks > 0) core_->Install(std::move(graph), {now_, step_});
  Batch();
  return tasks;
}

std::vector<executor::Launch> CoreStory::Launches() { return std::exchange(launches_, {}); }

std::vector<std::string> CoreStory::Started() {
  std::vector<std::string> names;
  for (const executor::Launch& launch : Launches()) names.push_back(launch.task_name);
  return names;
}

std::vector<std::string> CoreStory::Cancels() { return std::exchange(cancels_, {}); }
std::vector<absl::Duration> CoreStory::CancelGraces() { return std::exchange(graces_, {}); }
std::vector<std::string> CoreStory::Acknowledged() { return std::exchange(acknowledged_, {}); }
std::vector<std::string> CoreStory::Reconciled() { return std::exchange(reconciled_, {}); }
std::vector<std::pair<std::string, std::string>> CoreStory::Finished() {
  return std::exchange(finished_, {});
}

TaskKey CoreStory::Key(absl::string_view task) {
  absl::StatusOr<TaskKey> key = history_.FindTask(graph_, task);
  Check(key.status());
  return *key;
}

AttemptId CoreStory::Newest(absl::string_view task) {
  const TaskKey key = Key(task);
  const auto& attempts = history_.task(key).attempts;
  if (attempts.empty()) Check(absl::InternalError(absl::StrCat(task, " was never launched")));
  return AttemptId::Of(key, attempts.rbegin()->first);
}

std::string CoreStory::State(absl::string_view task) {
  const TaskKey key = Key(task);
  if (std::optional<TaskSnapshot> live = core_->Task(key)) {
    return Word(planner::ToString(live->state));
  }
  return Word(planner::ToString(history_.task(key).ended->state));
}

std::string CoreStory::States() {
  std::string states;
  for (const MemoryHistory::Task& task : history_.graphs().at(graph_).tasks) {
    absl::StrAppend(&states, states.empty() ? "" : " ", task.submitted.name, "=",
                    State(task.submitted.name));
  }
  return states;
}

std::string CoreStory::Reason(absl::string_view task) {
  const TaskKey key = Key(task);
  std::optional<TaskSnapshot> live = core_->Task(key);
  if (live && !planner::IsFinal(live->state)) return live->reason;
  return history_.task(key).ended->reason;
}

std::string CoreStory::GraphState() {
  return Word(planner::ToString(history_.graphs().at(graph_).state.state));
}

int CoreStory::Attempts(absl::string_view task) {
  return static_cast<int>(history_.task(Key(task)).attempts.size());
}

}  // namespace kartograph::scheduler
