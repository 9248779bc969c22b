#include "service/http/event_feed.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/http/json.h"
#include "service/messages.h"

namespace kartograph::service {
namespace {

// A round sends the newest; a page asks for the rest.
constexpr size_t kMaxGraphs = 1000;

void Append(std::string& text, absl::string_view event, const std::string& json) {
  absl::StrAppend(&text, "event: ", event, "\ndata: ", json, "\n\n");
}

}  // namespace

EventFeed::EventFeed(Options options, scheduler::Scheduler* scheduler, Queries* queries,
                     WorkerPool* workers)
    : options_(options), scheduler_(scheduler), queries_(queries), workers_(workers) {
  subscription_ = scheduler->Subscribe([this](const scheduler::Changes& changes,
                                              const scheduler::Snapshots&) { OnChange(changes); });
  workers_->PostAfter(options_.heartbeat, [this] { Heartbeat(); });
}

EventFeed::~EventFeed() { subscription_.reset(); }

void EventFeed::Add(std::shared_ptr<HttpStream> client) {
  absl::MutexLock lock(&mutex_);
  joining_.push_back(std::move(client));
  listened_to_ = true;
  Plan(absl::ZeroDuration());
}

void EventFeed::OnChange(const scheduler::Changes& changes) {
  if (!listened_to_) return;
  absl::MutexLock lock(&mutex_);
  for (const scheduler::GraphSnapshot& graph : changes.graphs) {
    dirty_.graphs.insert_or_assign(graph.graph, graph);
  }
  while (dirty_.graphs.size() > kMaxGraphs) dirty_.graphs.erase(dirty_.graphs.begin());
  for (const scheduler::Changes::Task& task : changes.tasks) {
    if (task.state == planner::TaskState::kFailed) dirty_.failures = true;
  }
  dirty_.any = true;
  Plan(options_.interval);
}

void EventFeed::Plan(absl::Duration delay) {
  if (planned_) return;
  planned_ = true;
  if (delay == absl::ZeroDuration()) {
    workers_->Post([this] { Round(); });
  } else {
    workers_->PostAfter(delay, [this] { Round(); });
  }
}

void EventFeed::Round() {
  Dirty dirty;
  std::vector<std::shared_ptr<HttpStream>> joining;
  bool anybody = false;
  {
    absl::MutexLock lock(&mutex_);
    dirty = std::exchange(dirty_, {});
    joining.swap(joining_);
    anybody = !clients_.empty();
  }
  if (dirty.any && anybody) SendToAll(Events(dirty));
  if (!joining.empty()) {
    // What changes after this is in the next round: `dirty_` was emptied before it.
    const auto text = std::make_shared<const std::string>(Everything());
    std::erase_if(joining, [&](const auto& client) { return !client->Send(text); });
  }
  absl::MutexLock lock(&mutex_);
  clients_.insert(clients_.end(), joining.begin(), joining.end());
  listened_to_ = !clients_.empty() || !joining_.empty();
  planned_ = false;
  if (!joining_.empty()) {
    Plan(absl::ZeroDuration());
  } else if (dirty_.any) {
    Plan(options_.interval);
  }
}

std::string EventFeed::Events(const Dirty& dirty) {
  std::string text;
  if (!dirty.graphs.empty()) {
    v1::ListGraphsResponse graphs;
    for (auto it = dirty.graphs.rbegin(); it != dirty.graphs.rend(); ++it) {
      *graphs.add_graphs() = queries_->Named(ToMessage(it->second));
    }
    Append(text, "graphs", ToJson(graphs));
  }
  if (const auto cluster = queries_->GetCluster({}); cluster.ok()) {
    Append(text, "cluster", ToJson(*cluster));
  }
  if (dirty.failures) {
    if (const auto failures = queries_->ListFailures({}); failures.ok()) {
      Append(text, "failures", ToJson(*failures));
    }
  }
  return text;
}

std::string EventFeed::Everything() {
  std::string text;
  if (const auto graphs = queries_->ListGraphs({}); graphs.ok()) {
    Append(text, "graphs", ToJson(*graphs));
  }
  if (const auto cluster = queries_->GetCluster({}); cluster.ok()) {
    Append(text, "cluster", ToJson(*cluster));
  }
  if (const auto failures = queries_->ListFailures({}); failures.ok()) {
    Append(text, "failures", ToJson(*failures));
  }
  return text;
}

void EventFeed::Heartbeat() {
  SendToAll(": heartbeat\n\n");
  // While nothing can be written nothing changes, but that.
  if (const bool can_write = scheduler_->write_error().ok();
      std::exchange(could_write_, can_write) != can_write) {
    absl::MutexLock lock(&mutex_);
    dirty_.any = true;
    Plan(absl::ZeroDuration());
  }
  workers_->PostAfter(options_.heartbeat, [this] { Heartbeat(); });
}

void EventFeed::SendToAll(std::string text) {
  if (text.empty()) return;
  const auto shared = std::make_shared<const std::string>(std::move(text));
  absl::MutexLock lock(&mutex_);
  std::erase_if(clients_, [&](const auto& client) { return !client->Send(shared); });
}

}  // namespace kartograph::service
