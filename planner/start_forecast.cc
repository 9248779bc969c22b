#include "planner/start_forecast.h"

#include <algorithm>
#include <queue>
#include <utility>

namespace kartograph::planner {
namespace {

class Forecast {
 public:
  Forecast(Outlook outlook, int64_t max_checks)
      : outlook_(std::move(outlook)), checks_left_(max_checks) {
    for (const Outlook::Running& running : outlook_.running) Push(running);
  }

  std::optional<int64_t> Run() {
    if (outlook_.queue.empty()) return std::nullopt;
    waiting_.resize(outlook_.queue.size());
    for (size_t i = 0; i < waiting_.size(); ++i) waiting_[i] = i;
    int64_t now = 0;
    for (;;) {
      if (StartWhatFits(now)) return now;
      if (ends_.empty() || checks_left_ < 0) return std::nullopt;
      now = std::max(now, ends_.top().first);
      // What ends at once gives back at once.
      while (!ends_.empty() && ends_.top().first <= now) {
        GiveBack(given_back_[ends_.top().second]);
        ends_.pop();
      }
    }
  }

 private:
  void Push(const Outlook::Running& running) {
    ends_.emplace(running.ends_us, given_back_.size());
    given_back_.push_back(running);
  }

  void GiveBack(const Outlook::Running& ended) {
    if (ended.pool_part != nullptr) outlook_.pool_free += *ended.pool_part;
    if (!ended.agent) return;
    Outlook::Agent& agent = outlook_.agents[*ended.agent];
    if (ended.agent_part != nullptr) agent.free += *ended.agent_part;
    ++agent.slots;
  }

  // Whether the last of the queue has started.
  bool StartWhatFits(int64_t now) {
    std::vector<size_t> left;
    for (const size_t i : waiting_) {
      if (checks_left_ < 0 || !Start(outlook_.queue[i], now)) {
        left.push_back(i);
      } else if (i + 1 == outlook_.queue.size()) {
        return true;
      }
    }
    waiting_ = std::move(left);
    return false;
  }

  bool Start(const Outlook::Task& task, int64_t now) {
    --checks_left_;
    if (!task.pool_part->FitsIn(outlook_.pool_free)) return false;
    for (size_t i = 0; i < outlook_.agents.size(); ++i) {
      Outlook::Agent& agent = outlook_.agents[i];
      --checks_left_;
      if (agent.slots <= 0 || !task.agent_part->FitsIn(agent.free)) continue;
      agent.free -= *task.agent_part;
      --agent.slots;
      outlook_.pool_free -= *task.pool_part;
      if (task.takes_us) Push({now + *task.takes_us, i, task.agent_part, task.pool_part});
      return true;
    }
    return false;
  }

  Outlook outlook_;
  int64_t checks_left_;
  std::vector<size_t> waiting_;  // positions in the queue, in order
  std::vector<Outlook::Running> given_back_;
  using End = std::pair<int64_t, size_t>;  // a position in given_back_
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
};

}  // namespace

std::optional<int64_t> ForecastStart(Outlook outlook, int64_t max_checks) {
  return Forecast(std::move(outlook), max_checks).Run();
}

}  // namespace kartograph::planner
