// Graphs and resources in few words, for tests.
#ifndef KARTOGRAPH_SCHEDULER_TESTING_BUILDERS_H_
#define KARTOGRAPH_SCHEDULER_TESTING_BUILDERS_H_

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "planner/constraints.h"
#include "planner/resources.h"
#include "scheduler/submission.h"

namespace kartograph::planner {

// How GoogleTest shows it.
inline void PrintTo(const ResourceVector& v, std::ostream* out) { *out << v.ToString(); }

}  // namespace kartograph::planner

namespace kartograph::scheduler {

inline planner::ResourceVector Cpu(double cores) {
  return {{planner::Resource::Cpu(), *planner::Quantity::FromUnits(cores)}};
}
inline planner::ResourceVector With(planner::ResourceVector v, const char* resource, double units) {
  v.Set(planner::Resource::Named(resource), *planner::Quantity::FromUnits(units));
  return v;
}

// A task of one core, unless told otherwise; its payload is its name.
class Task {
 public:
  explicit Task(std::string name) {
    task_.payload = name;
    task_.name = std::move(name);
    task_.consumption = Cpu(1);
  }
  Task& After(std::vector<std::string> names) {
    task_.after = std::move(names);
    return *this;
  }
  Task& Payload(std::string payload) {
    task_.payload = std::move(payload);
    return *this;
  }
  Task& Needs(planner::ResourceVector consumption) {
    task_.consumption = std::move(consumption);
    return *this;
  }
  Task& Attempts(int n) {
    task_.policy.max_attempts = n;
    return *this;
  }
  // Words of planner::FailureSet.
  Task& RetryOn(const std::vector<const char*>& words) {
    for (const char* word : words) (void)task_.policy.retry.on.Add(word);
    return *this;
  }
  Task& NoRetryOn(const std::vector<const char*>& words) {
    for (const char* word : words) (void)task_.policy.retry.not_on.Add(word);
    return *this;
  }
  // One more constraint.
  Task& Where(planner::Constraint constraint) {
    const auto before = task_.policy.constraints.all();
    std::vector<planner::Constraint> all(before.begin(), before.end());
    all.push_back(std::move(constraint));
    task_.policy.constraints = planner::Constraints(std::move(all));
    return *this;
  }
  Task& Spread(std::string group, int per_agent) {
    task_.policy.spread = {std::move(group), per_agent};
    return *this;
  }
  Task& AvoidLastFailure() {
    task_.policy.avoid_last_failure = true;
    return *this;
  }
  Task& Losses(int n) {
    task_.policy.max_losses = n;
    return *this;
  }
  Task& RetryDelay(absl::Duration first, absl::Duration most = absl::Minutes(5)) {
    task_.policy.retry_delay = first;
    task_.policy.max_retry_delay = most;
    return *this;
  }
  Task& Grace(absl::Duration grace) {
    task_.policy.cancel_grace = grace;
    return *this;
  }
  Task& Timeout(absl::Duration timeout) {
    task_.policy.timeout = timeout;
    return *this;
  }
  Task& UnreachableTimeout(absl::Duration timeout) {
    task_.policy.unreachable_timeout = timeout;
    return *this;
  }
  Task& Expected(absl::Duration duration) {
    task_.expected_duration = duration;
    return *this;
  }
  Task& Preemptible() {
    task_.policy.preemptible = true;
    return *this;
  }
  Task& Priority(int priority) {
    task_.priority = priority;
    return *this;
  }
  const TaskSubmission& Get() const { return task_; }

 private:
  TaskSubmission task_;
};

class Graph {
 public:
  explicit Graph(const std::vector<Task>& tasks) {
    graph_.name = "graph";
    for (const Task& task : tasks) graph_.tasks.push_back(task.Get());
  }
  Graph& FailFast() {
    graph_.fail_fast = true;
    return *this;
  }
  Graph& Open() {
    graph_.open = true;
    return *this;
  }
  Graph& Queue(std::string client_queue) {
    graph_.client_queue = std::move(client_queue);
    return *this;
  }
  Graph& By(std::string user) {
    graph_.user = std::move(user);
    return *this;
  }
  Graph& Limit(planner::Cap cap) {
    graph_.cap = std::move(cap);
    return *this;
  }
  Graph& Share(std::string share) {
    graph_.share = std::move(share);
    return *this;
  }
  const GraphSubmission& Get() const { return graph_; }

 private:
  GraphSubmission graph_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_TESTING_BUILDERS_H_
