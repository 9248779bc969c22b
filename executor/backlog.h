// The order in which an agent starts what waits there.
#ifndef KARTOGRAPH_EXECUTOR_BACKLOG_H_
#define KARTOGRAPH_EXECUTOR_BACKLOG_H_

#include <algorithm>
#include <deque>
#include <iterator>
#include <string>
#include <utility>

#include "planner/ids.h"

namespace kartograph::executor {

// Attempts that were sent to an agent and have not begun, the next first. The agent, and whoever
// predicts what it does, keep them by this one rule. Thread-compatible.
class Backlog {
 public:
  struct Entry {
    planner::AttemptId attempt;
    std::string order;  // as in Launch::backlog_order
  };

  // Behind all that are not after it.
  void Push(planner::AttemptId attempt, std::string order) {
    // Mostly it is the last.
    auto place = entries_.end();
    while (place != entries_.begin() && order < std::prev(place)->order) --place;
    entries_.insert(place, {attempt, std::move(order)});
  }
  planner::AttemptId front() const { return entries_.front().attempt; }
  void PopFront() { entries_.pop_front(); }
  void Remove(planner::AttemptId attempt) {
    std::erase_if(entries_, [attempt](const Entry& e) { return e.attempt == attempt; });
  }
  void clear() { entries_.clear(); }

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  const Entry& operator[](size_t i) const { return entries_[i]; }
  std::deque<Entry>::const_iterator begin() const { return entries_.begin(); }
  std::deque<Entry>::const_iterator end() const { return entries_.end(); }

 private:
  std::deque<Entry> entries_;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_BACKLOG_H_
