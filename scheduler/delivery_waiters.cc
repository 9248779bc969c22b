#include "scheduler/delivery_waiters.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::scheduler {

// What is read for those who wait for one queue, each with its own limits.
struct DeliveryWaiters::Read {
  struct One {
    int64_t waiter;
    int max_tasks;
    int64_t max_bytes;
    int64_t max_value_bytes;
    bool leased;  // the others do not get the same
    // Stays so where nothing is read: the scheduler stops.
    absl::StatusOr<std::vector<storage::Finished>> finished =
        absl::UnavailableError("the service is stopping; try again when it is back");
  };
  std::vector<One> reads;
  int64_t from;
  std::vector<int64_t> skip;

  void Run(storage::LongReader& reader, const std::string& queue) {
    bool more = true;
    for (One& one : reads) {
      if (!more) {
        one.finished = std::vector<storage::Finished>();
        continue;
      }
      one.finished =
          reader.FinishedOf(queue, one.max_tasks, one.max_bytes, {from, skip, one.max_value_bytes});
      if (!one.finished.ok()) continue;
      more = !one.finished->empty();
      if (more && one.leased) from = one.finished->back().delivery_id + 1;
    }
  }
};

void DeliveryWaiters::Add(PopFinished pop, const Instant& now, Done done) {
  Queue& queue = queues_[pop.client_queue];
  if (pop.resume && !pop.consumer.empty()) queue.leases.ReleaseAll(pop.consumer);
  for (int64_t delivery : pop.release) queue.leases.Release(delivery);
  for (int64_t delivery : pop.renew) queue.leases.Renew(delivery, now.steady + pop.lease);
  if (pop.resume || !pop.release.empty()) news_.insert(pop.client_queue);
  if (pop.max_tasks == 0) {
    if (queue.idle()) queues_.erase(pop.client_queue);
    done(Reply());
    return;
  }
  news_.insert(pop.client_queue);
  ++size_;
  queue.waiters.push_back({++last_id_, pop.call, pop.max_tasks, pop.max_bytes, pop.max_value_bytes,
                           pop.deadline, pop.lease, std::move(pop.consumer), false,
                           std::move(done)});
}

void DeliveryWaiters::Stop(const StopWaiting& stop) {
  auto queue = queues_.find(stop.client_queue);
  if (queue == queues_.end()) return;
  std::vector<Waiter>& waiters = queue->second.waiters;
  auto waiter = std::find_if(waiters.begin(), waiters.end(),
                             [&](const Waiter& w) { return w.call == stop.call; });
  if (waiter == waiters.end()) return;
  const Done done = std::move(waiter->done);
  waiters.erase(waiter);
  --size_;
  if (queue->second.idle()) queues_.erase(queue);
  done(absl::CancelledError("the client went away"));
}

void DeliveryWaiters::Acknowledged(const std::string& client_queue,
                                   const std::vector<int64_t>& deliveries) {
  auto it = queues_.find(client_queue);
  if (it == queues_.end()) return;
  for (int64_t delivery : deliveries) it->second.leases.Acknowledge(delivery);
}

void DeliveryWaiters::Serve(const Instant& now) {
  ExpireLeases(now);
  const absl::flat_hash_set<std::string> announced = std::exchange(news_, {});
  for (const std::string& name : announced) {
    if (auto it = queues_.find(name); it != queues_.end()) Look(name, it->second, now);
  }
  EndPast(now);
}

void DeliveryWaiters::ExpireLeases(const Instant& now) {
  for (auto& [name, queue] : queues_) {
    if (queue.leases.NextExpiry() > now.steady) continue;
    queue.leases.Expire(now.steady);
    news_.insert(name);
  }
}

void DeliveryWaiters::Look(const std::string& name, Queue& queue, const Instant& now) {
  if (queue.reading) {
    queue.again = true;
    return;
  }
  if (queue.waiters.empty()) return;
  if (queue.leases.full()) {
    RefuseAll(queue, absl::ResourceExhaustedError(
                         absl::StrCat(DeliveryLeases::kMaxLeased, " deliveries of queue \"", name,
                                      "\" are leased; acknowledge some before asking for more")));
    return;
  }
  auto read = std::make_shared<Read>();
  read->from = queue.leases.From();
  read->skip = queue.leases.Skip();
  for (const Waiter& waiter : queue.waiters) {
    read->reads.push_back({.waiter = waiter.id,
                           .max_tasks = waiter.max_tasks,
                           .max_bytes = waiter.max_bytes,
                           .max_value_bytes = waiter.max_value_bytes,
                           .leased = waiter.lease > absl::ZeroDuration()});
  }
  queue.reading = true;
  background_->Run(
      Background::kDeliveries, now,
      {.work = [reader = reader_, name, read] { read->Run(*reader, name); },
       .then = [this, name, read](const Instant& later) { OnRead(name, *read, later); }});
}

void DeliveryWaiters::OnRead(const std::string& name, const Read& read, const Instant& now) {
  Queue& queue = queues_[name];
  queue.reading = false;
  std::vector<int64_t> not_given;
  for (const Read::One& one : read.reads) {
    auto waiter = std::find_if(queue.waiters.begin(), queue.waiters.end(),
                               [&](const Waiter& w) { return w.id == one.waiter; });
    const bool nothing = one.finished.ok() && one.finished->empty();
    if (waiter == queue.waiters.end()) {  // it has given up
      if (nothing || !one.finished.ok()) continue;
      for (const storage::Finished& f : *one.finished) not_given.push_back(f.delivery_id);
      continue;
    }
    waiter->looked = true;
    if (nothing) continue;
    if (one.finished.ok() && one.leased) {
      for (const storage::Finished& f : *one.finished) {
        queue.leases.Lease(f.delivery_id, waiter->consumer, now.steady + waiter->lease);
      }
    }
    const Done done = std::move(waiter->done);
    queue.waiters.erase(waiter);
    --size_;
    if (one.finished.ok()) {
      done(Reply{.number = 0, .finished = *one.finished});
    } else {
      done(one.finished.status());
    }
  }
  for (int64_t delivery : not_given) queue.leases.GiveBack(delivery);
  if (std::exchange(queue.again, false) || !not_given.empty()) Look(name, queue, now);
  EndPast(now);
}

void DeliveryWaiters::RefuseAll(Queue& queue, const absl::Status& why) {
  std::vector<Waiter> refused = std::exchange(queue.waiters, {});
  size_ -= refused.size();
  for (const Waiter& waiter : refused) waiter.done(why);
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
    it = it->second.idle() ? queues_.erase(it) : std::next(it);
    for (const Done& done : past) done(Reply());
  }
}

SteadyTime DeliveryWaiters::NextDeadline() const {
  SteadyTime next = SteadyTime::InfiniteFuture();
  for (const auto& [name, queue] : queues_) {
    // Where nobody waits, leases that are over are found when somebody comes.
    if (!queue.waiters.empty()) next = std::min(next, queue.leases.NextExpiry());
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
