// Clients that wait for finished tasks.
#ifndef KARTOGRAPH_SCHEDULER_DELIVERY_WAITERS_H_
#define KARTOGRAPH_SCHEDULER_DELIVERY_WAITERS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "scheduler/background.h"
#include "scheduler/command.h"
#include "scheduler/delivery_leases.h"
#include "storage/history.h"

namespace kartograph::scheduler {

// Those who wait for one queue share what is there: each delivery goes to one of them, which has a
// lease of it. The deliveries are read in the background. Used where the engine is.
class DeliveryWaiters {
 public:
  // Both outlive this.
  DeliveryWaiters(storage::LongReader* reader, Background* background)
      : reader_(reader), background_(background) {}

  void Add(PopFinished pop, const Instant& now, Done done);
  void Stop(const StopWaiting& stop);
  // These are acknowledged, and that is committed.
  void Acknowledged(const std::string& client_queue, const std::vector<int64_t>& deliveries);
  size_t size() const { return size_; }
  // Something was put into this queue.
  void Announce(const std::string& client_queue) { news_.insert(client_queue); }
  // Serves those who came and what was announced; ends the waiting of those whose deadline has
  // passed. To be called after each commit.
  void Serve(const Instant& now);
  SteadyTime NextDeadline() const;
  void Dismiss(const absl::Status& why);

 private:
  struct Waiter {
    int64_t id;
    int64_t call;
    int max_tasks;
    int64_t max_bytes;
    int64_t max_value_bytes;
    SteadyTime deadline;
    absl::Duration lease;
    std::string consumer;
    bool looked = false;  // for it, at least once: then it may give up
    Done done;
  };
  struct Queue {
    std::vector<Waiter> waiters;
    bool reading = false;  // in the background
    bool again = false;    // something came meanwhile
    DeliveryLeases leases;
    bool idle() const { return waiters.empty() && !reading && leases.empty(); }
  };
  struct Read;

  void Look(const std::string& name, Queue& queue, const Instant& now);
  void OnRead(const std::string& name, const Read& read, const Instant& now);
  void ExpireLeases(const Instant& now);
  void EndPast(const Instant& now);
  void RefuseAll(Queue& queue, const absl::Status& why);

  storage::LongReader* const reader_;
  Background* const background_;
  absl::btree_map<std::string, Queue> queues_;  // those with a waiter, a read under way or leases
  absl::flat_hash_set<std::string> news_;
  size_t size_ = 0;
  int64_t last_id_ = 0;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_DELIVERY_WAITERS_H_
