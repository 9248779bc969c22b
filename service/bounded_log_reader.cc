#include "service/bounded_log_reader.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::service {

void BoundedLogReader::ReadLog(const executor::LogRequest& request,
                               std::function<void(absl::StatusOr<executor::LogChunk>)> done) {
  int64_t id = 0;
  {
    MutexLock lock(&mutex_);
    Agent& agent = agents_[request.agent];
    const SteadyTime now = options_.clock->SteadyNow();
    absl::erase_if(agent.in_flight,
                   [&](const auto& read) { return now - read.second > options_.patience; });
    if (agent.in_flight.size() < options_.in_flight) {
      id = ++last_id_;
      agent.in_flight[id] = now;
    } else if (agent.queue.size() < options_.queued) {
      agent.queue.push_back({request, std::move(done)});
      return;
    }
  }
  if (id == 0) {
    done(absl::ResourceExhaustedError(absl::StrCat("too many reads are already waiting for agent ",
                                                   request.agent, "; it does not answer in time")));
    return;
  }
  Start(request.agent, id, {request, std::move(done)});
}

void BoundedLogReader::Start(const executor::AgentId& agent, int64_t id, Read read) {
  logs_->ReadLog(read.request, [this, agent, id, done = std::move(read.done)](
                                   absl::StatusOr<executor::LogChunk> chunk) {
    OnAnswer(agent, id);
    done(std::move(chunk));
  });
}

void BoundedLogReader::OnAnswer(const executor::AgentId& agent, int64_t id) {
  std::optional<Read> next;
  int64_t next_id = 0;
  {
    MutexLock lock(&mutex_);
    auto it = agents_.find(agent);
    if (it == agents_.end()) return;
    it->second.in_flight.erase(id);
    if (!it->second.queue.empty() && it->second.in_flight.size() < options_.in_flight) {
      next = std::move(it->second.queue.front());
      it->second.queue.pop_front();
      next_id = ++last_id_;
      it->second.in_flight[next_id] = options_.clock->SteadyNow();
    } else if (it->second.in_flight.empty() && it->second.queue.empty()) {
      agents_.erase(it);
    }
  }
  if (next) Start(agent, next_id, *std::move(next));
}

}  // namespace kartograph::service
