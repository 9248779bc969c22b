// Which deliveries a consumer has and has not acknowledged yet.
#ifndef KARTOGRAPH_SCHEDULER_DELIVERY_LEASES_H_
#define KARTOGRAPH_SCHEDULER_DELIVERY_LEASES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"

namespace kartograph::scheduler {

// Of one queue. A delivery that was given to a consumer is given to nobody else until its lease is
// over; until then it is the consumer's to acknowledge, to renew or to release. Only in memory:
// after a restart of the service everything that is not acknowledged is offered again.
// Thread-compatible.
class DeliveryLeases {
 public:
  // Deliveries that may be leased at once.
  static constexpr size_t kMaxLeased = 100000;

  void Lease(int64_t delivery, absl::string_view consumer, SteadyTime until);
  void Acknowledge(int64_t delivery);
  // Both: ignored where it is not leased.
  void Renew(int64_t delivery, SteadyTime until);
  void Release(int64_t delivery);
  // It was read for a consumer who has gone.
  void GiveBack(int64_t delivery);
  // Releases all of this consumer, which has a name.
  void ReleaseAll(absl::string_view consumer);
  // Ends the leases that are over.
  void Expire(SteadyTime now);

  SteadyTime NextExpiry() const;
  size_t size() const { return leased_.size(); }
  bool full() const { return leased_.size() >= kMaxLeased; }
  // Everything is offered: it can be forgotten.
  bool empty() const { return leased_.empty() && offered_again_.empty(); }

  // What can be given out: deliveries from From() on, but for Skip(), which is ascending.
  int64_t From() const;
  std::vector<int64_t> Skip() const;

 private:
  struct Holder {
    std::string consumer;
    SteadyTime until;
  };
  void Offer(int64_t delivery);

  absl::btree_map<int64_t, Holder> leased_;
  absl::btree_set<std::pair<SteadyTime, int64_t>> expiry_;
  // Below last_, and not leased any more.
  absl::btree_set<int64_t> offered_again_;
  int64_t last_ = 0;  // the newest that was given out
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_DELIVERY_LEASES_H_
