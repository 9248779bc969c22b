#include "scheduler/delivery_leases.h"

#include <algorithm>

namespace kartograph::scheduler {

void DeliveryLeases::Lease(int64_t delivery, absl::string_view consumer, SteadyTime until) {
  offered_again_.erase(delivery);
  last_ = std::max(last_, delivery);
  leased_[delivery] = {std::string(consumer), until};
  expiry_.insert({until, delivery});
}

void DeliveryLeases::Acknowledge(int64_t delivery) {
  offered_again_.erase(delivery);
  auto it = leased_.find(delivery);
  if (it == leased_.end()) return;
  expiry_.erase({it->second.until, delivery});
  leased_.erase(it);
}

void DeliveryLeases::Renew(int64_t delivery, SteadyTime until) {
  auto it = leased_.find(delivery);
  if (it == leased_.end()) return;
  expiry_.erase({it->second.until, delivery});
  it->second.until = until;
  expiry_.insert({until, delivery});
}

void DeliveryLeases::Release(int64_t delivery) {
  if (leased_.contains(delivery)) Offer(delivery);
}

void DeliveryLeases::GiveBack(int64_t delivery) {
  if (delivery <= last_) offered_again_.insert(delivery);
}

void DeliveryLeases::ReleaseAll(absl::string_view consumer) {
  std::vector<int64_t> held;
  for (const auto& [delivery, holder] : leased_) {
    if (holder.consumer == consumer) held.push_back(delivery);
  }
  for (int64_t delivery : held) Offer(delivery);
}

void DeliveryLeases::Expire(SteadyTime now) {
  while (!expiry_.empty() && expiry_.begin()->first <= now) Offer(expiry_.begin()->second);
}

SteadyTime DeliveryLeases::NextExpiry() const {
  return expiry_.empty() ? SteadyTime::InfiniteFuture() : expiry_.begin()->first;
}

void DeliveryLeases::Offer(int64_t delivery) {
  auto it = leased_.find(delivery);
  expiry_.erase({it->second.until, delivery});
  leased_.erase(it);
  offered_again_.insert(delivery);
}

int64_t DeliveryLeases::From() const {
  return offered_again_.empty() ? last_ + 1 : *offered_again_.begin();
}

std::vector<int64_t> DeliveryLeases::Skip() const {
  std::vector<int64_t> skip;
  for (auto it = leased_.lower_bound(From()); it != leased_.end(); ++it) skip.push_back(it->first);
  return skip;
}

}  // namespace kartograph::scheduler
