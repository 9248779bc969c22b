#include "service/change_hub.h"

#include <algorithm>
#include <utility>

namespace kartograph::service {

ChangeHub::Pending ChangeHub::Watch::Take() {
  Pending pending;
  absl::MutexLock lock(&mutex_);
  pending.tasks.reserve(tasks_.size());
  for (auto& [key, task] : tasks_) pending.tasks.push_back(std::move(task));
  tasks_.clear();
  std::sort(pending.tasks.begin(), pending.tasks.end(),
            [](const auto& a, const auto& b) { return a.task < b.task; });
  pending.graph = std::exchange(graph_, std::nullopt);
  pending.stopped = stopped_;
  pending.overflowed = overflowed_;
  bytes_ = 0;
  signalled_ = false;
  return pending;
}

bool ChangeHub::Watch::HasPending() {
  absl::MutexLock lock(&mutex_);
  return !tasks_.empty() || graph_ || stopped_ || overflowed_;
}

bool ChangeHub::Watch::Signal() { return !std::exchange(signalled_, true); }

bool ChangeHub::Watch::Merge(const scheduler::Changes::Task& task,
                             const scheduler::Changes::Words& words) {
  if (only_ && *only_ != task.task) return false;
  absl::MutexLock lock(&mutex_);
  if (overflowed_) return false;
  Task& pending = tasks_[task.task];
  const auto bytes = [&pending] {
    return sizeof(pending) + pending.name.size() + pending.reason.size();
  };
  if (pending.name.empty()) {
    pending.name = std::string(words.Name(task));
  } else {
    bytes_ -= bytes();
  }
  pending.task = task.task;
  pending.state = task.state;
  pending.attempts = task.attempts;
  pending.reason = words.Reason(task);
  bytes_ += bytes();
  if (bytes_ > max_bytes_) {
    overflowed_ = true;
    decltype(tasks_)().swap(tasks_);
  }
  return Signal();
}

bool ChangeHub::Watch::Merge(const scheduler::GraphSnapshot& graph) {
  // A watch of one task needs no more of its graph than its end.
  if (only_ && graph.state == planner::GraphState::kRunning) return false;
  absl::MutexLock lock(&mutex_);
  graph_ = graph;
  return Signal();
}

ChangeHub::ChangeHub(scheduler::Scheduler* scheduler, WorkerPool* workers, size_t max_bytes)
    : workers_(workers), max_bytes_(max_bytes) {
  subscription_ = scheduler->Subscribe([this](const scheduler::Changes& changes,
                                              const scheduler::Snapshots&) { OnChange(changes); });
}

ChangeHub::~ChangeHub() { subscription_.reset(); }

std::shared_ptr<ChangeHub::Watch> ChangeHub::Add(planner::GraphId graph,
                                                 std::optional<planner::TaskKey> only,
                                                 std::function<void()> wake) {
  auto watch = std::make_shared<Watch>();
  watch->graph_id_ = graph;
  watch->only_ = only;
  watch->max_bytes_ = max_bytes_;
  watch->wake_ = std::move(wake);
  absl::MutexLock lock(&mutex_);
  if (watches_.size() >= sweep_at_) Sweep();
  std::vector<std::weak_ptr<Watch>>& watches = watches_[graph];
  std::erase_if(watches, [](const auto& other) { return other.expired(); });
  watches.push_back(watch);
  if (stopped_) {
    absl::MutexLock watch_lock(&watch->mutex_);
    watch->stopped_ = true;
    if (watch->Signal()) Wake(watch);
  }
  return watch;
}

void ChangeHub::Sweep() {
  absl::erase_if(watches_, [](auto& entry) {
    std::erase_if(entry.second, [](const auto& watch) { return watch.expired(); });
    return entry.second.empty();
  });
  sweep_at_ = std::max<size_t>(64, 2 * watches_.size());
}

void ChangeHub::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  for (auto& [graph, watches] : watches_) {
    for (const std::weak_ptr<Watch>& weak : watches) {
      const std::shared_ptr<Watch> watch = weak.lock();
      if (!watch) continue;
      absl::MutexLock watch_lock(&watch->mutex_);
      watch->stopped_ = true;
      if (watch->Signal()) Wake(watch);
    }
  }
}

void ChangeHub::Wake(const std::shared_ptr<Watch>& watch) {
  workers_->Post([weak = std::weak_ptr<Watch>(watch)] {
    if (const std::shared_ptr<Watch> watch = weak.lock()) watch->wake_();
  });
}

// On the scheduler's thread: no more than copying what is watched.
void ChangeHub::OnChange(const scheduler::Changes& changes) {
  absl::MutexLock lock(&mutex_);
  if (watches_.empty()) return;
  absl::flat_hash_map<planner::GraphId, std::vector<std::shared_ptr<Watch>>> touched;
  for (const scheduler::GraphSnapshot& graph : changes.graphs) {
    const auto found = watches_.find(graph.graph);
    if (found == watches_.end()) continue;
    std::vector<std::shared_ptr<Watch>>& alive = touched[graph.graph];
    for (const std::weak_ptr<Watch>& weak : found->second) {
      if (std::shared_ptr<Watch> watch = weak.lock()) alive.push_back(std::move(watch));
    }
    if (alive.empty()) {
      touched.erase(graph.graph);
      watches_.erase(found);
      continue;
    }
  }
  if (touched.empty()) return;
  // Tasks first: whoever takes a graph's end then has the ends of its tasks.
  for (const scheduler::Changes::Task& task : changes.tasks) {
    const auto found = touched.find(task.task.graph());
    if (found == touched.end()) continue;
    for (const std::shared_ptr<Watch>& watch : found->second) {
      if (watch->Merge(task, *changes.words)) Wake(watch);
    }
  }
  for (const scheduler::GraphSnapshot& graph : changes.graphs) {
    const auto found = touched.find(graph.graph);
    if (found == touched.end()) continue;
    for (const std::shared_ptr<Watch>& watch : found->second) {
      if (watch->Merge(graph)) Wake(watch);
    }
  }
}

}  // namespace kartograph::service
