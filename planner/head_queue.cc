#include "planner/head_queue.h"

#include <algorithm>

namespace kartograph::planner {

void HeadQueue::Clear() {
  for (FairShare::Account account : accounts_) turns_[account].heads.clear();
  if (popped_) turns_[*popped_].heads.clear();
  accounts_.clear();
  popped_.reset();
  begun_ = false;
}

void HeadQueue::Push(const Head& head) {
  const FairShare::Account account = head.lane.account;
  if (turns_.size() <= account) turns_.resize(account + 1);
  auto& heads = turns_[account].heads;
  if (!begun_ && heads.empty()) accounts_.push_back(account);
  heads.push_back(head);
  heads.back().order.share = 0;
  // std heaps have their largest on top; we want the first.
  if (begun_) std::push_heap(heads.begin(), heads.end(), IsLaterHead);
}

bool HeadQueue::IsLater(FairShare::Account a, FairShare::Account b) const {
  const Turn& turn = turns_[a];
  const Turn& other = turns_[b];
  if (turn.share != other.share) return turn.share > other.share;
  return IsLaterHead(turn.heads.front(), other.heads.front());
}

std::optional<HeadQueue::Head> HeadQueue::Pop(const FairShare& shares) {
  const auto later = [this](FairShare::Account a, FairShare::Account b) { return IsLater(a, b); };
  if (!begun_) {
    begun_ = true;
    for (FairShare::Account account : accounts_) {
      Turn& turn = turns_[account];
      turn.share = shares.Of(account);
      std::make_heap(turn.heads.begin(), turn.heads.end(), IsLaterHead);
    }
    std::make_heap(accounts_.begin(), accounts_.end(), later);
  }
  if (popped_ && !turns_[*popped_].heads.empty()) {
    turns_[*popped_].share = shares.Of(*popped_);
    accounts_.push_back(*popped_);
    std::push_heap(accounts_.begin(), accounts_.end(), later);
  }
  popped_.reset();
  if (accounts_.empty()) return std::nullopt;
  std::pop_heap(accounts_.begin(), accounts_.end(), later);
  const FairShare::Account account = accounts_.back();
  accounts_.pop_back();
  popped_ = account;
  Turn& turn = turns_[account];
  std::pop_heap(turn.heads.begin(), turn.heads.end(), IsLaterHead);
  Head head = turn.heads.back();
  turn.heads.pop_back();
  head.order.share = turn.share;
  return head;
}

}  // namespace kartograph::planner
