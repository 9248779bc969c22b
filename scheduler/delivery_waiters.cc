#include "scheduler/delivery_waiters.h"

#include <algorithm>
#include <utility>

namespace kartograph::scheduler {

// What is read for those who wait for one queue, each with its own limits.
struct DeliveryWaiters::Read {
  struct One {
    int64_t waiter;
    int max_tasks;
    int64_t max_bytes;
    // Stays so where nothing is read: the scheduler stops.
    absl::StatusOr<std::vector<storage::Finished>> finished =
        absl::UnavailableError("the service is stopping; try again when it is back");
  };
  std::vector<One> reads;
};

void DeliveryWaiters::Add(PopFinished pop, Done done) {
  news_.insert(pop.client_queue);
  ++size_;
  queues_[std::move(pop.client_queue)].waiters.push_back(
      {++last_id_, pop.max_tasks, pop.max_bytes, pop.deadline, false, std::move(done)});
}

void DeliveryWaiters::Serve(const Instant& now) {
  const absl::flat_hash_set<std::string> announced = std::exchange(news_, {});
  for (const std::string& name : announced) {
    if (auto it = queues_.find(name); it != queues_.end()) Look(name, it->second, now);
  }
  EndPast(now);
}

void DeliveryWaiters::Look(const std::string& name, Queue& queue, const Instant& now) {
  if (queue.reading) {
    queue.again = true;
    return;
  }
  if (queue.waiters.empty()) return;
  auto read = std::make_shared<Read>();
  for (const Waiter& waiter : queue.waiters) {
    read->reads.push_back(
        {.waiter = waiter.id, .max_tasks = waiter.max_tasks, .max_bytes = waiter.max_bytes});
  }
  queue.reading = true;
  background_->Run(
      Background::kDeliveries, now,
      {.work =
           [reader = reader_, name, read] {
             for (Read::One& one : read->reads) {
               one.finished = reader->FinishedOf(name, one.max_tasks, one.max_bytes);
             }
           },
       .then = [this, name, read](const Instant& later) { OnRead(name, *read, later); }});
}

void DeliveryWaiters::OnRead(const std::string& name, const Read& read, const Instant& now) {
  Queue& queue = queues_[name];
  queue.reading = false;
  for (const Read::One& one : read.reads) {
    auto waiter = std::find_if(queue.waiters.begin(), queue.waiters.end(),
                               [&](const Waiter& w) { return w.id == one.waiter; });
    if (waiter == queue.waiters.end()) continue;  // it has given up
    waiter->looked = true;
    if (one.finished.ok() && one.finished->empty()) continue;
    const Done done = std::move(waiter->done);
    queue.waiters.erase(waiter);
    --size_;
    if (one.finished.ok()) {
      done(Reply{.number = 0, .finished = *one.finished});
    } else {
      done(one.finished.status());
    }
  }
  if (std::exchange(queue.again, false)) Look(name, queue, now);
  EndPast(now);
}

void DeliveryWaiters::EndPast(const Instant& now) {
  for (auto it = queues_.begin(); it != queues_.end();) {
    std::vector<Waiter>& waiters = it->second.waiters;
    std::vector<Done> past;
    std::erase_if(waiters, [&](Waiter& waiter) {
      if (!waiter.looked || waiter.deadline > now.steady) return false;
      past.push_back(std::move(waiter.done));
      return true;
    });
    size_ -= past.size();
    const bool idle = waiters.empty() && !it->second.reading;
    it = idle ? queues_.erase(it) : std::next(it);
    for (const Done& done : past) done(Reply());
  }
}

SteadyTime DeliveryWaiters::NextDeadline() const {
  SteadyTime next = SteadyTime::InfiniteFuture();
  for (const auto& [name, queue] : queues_) {
    for (const Waiter& waiter : queue.waiters) {
      // One that is being read for is not given up before that is over.
      if (waiter.looked || !queue.reading) next = std::min(next, waiter.deadline);
    }
  }
  return next;
}

void DeliveryWaiters::Dismiss(const absl::Status& why) {
  for (auto& [name, queue] : queues_) {
    for (const Waiter& waiter : std::exchange(queue.waiters, {})) waiter.done(why);
  }
  size_ = 0;
}

}  // namespace kartograph::scheduler
