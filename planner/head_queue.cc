#include "planner/head_queue.h"

#include <algorithm>

namespace kartograph::planner {
namespace {

// std heaps have their largest on top; we want the first.
bool LaterHead(const std::pair<ReadyOrder, ReadyTasks::ClassId>& a,
               const std::pair<ReadyOrder, ReadyTasks::ClassId>& b) {
  return b.first < a.first;
}

}  // namespace

void HeadQueue::Clear() {
  for (FairShare::Account account : accounts_) turns_[account].heads.clear();
  if (popped_) turns_[*popped_].heads.clear();
  accounts_.clear();
  popped_.reset();
  begun_ = false;
}

void HeadQueue::Push(const Head& head) {
  if (turns_.size() <= head.account) turns_.resize(head.account + 1);
  auto& heads = turns_[head.account].heads;
  if (!begun_ && heads.empty()) accounts_.push_back(head.account);
  heads.emplace_back(head.order, head.consumption);
  heads.back().first.share = 0;
  if (begun_) std::push_heap(heads.begin(), heads.end(), LaterHead);
}

bool HeadQueue::IsLater(FairShare::Account a, FairShare::Account b) const {
  const Turn& turn = turns_[a];
  const Turn& other = turns_[b];
  if (turn.share != other.share) return turn.share > other.share;
  return LaterHead(turn.heads.front(), other.heads.front());
}

std::optional<HeadQueue::Head> HeadQueue::Pop(const FairShare& shares) {
  const auto later = [this](FairShare::Account a, FairShare::Account b) { return IsLater(a, b); };
  if (!begun_) {
    begun_ = true;
    for (FairShare::Account account : accounts_) {
      Turn& turn = turns_[account];
      turn.share = shares.Of(account);
      std::make_heap(turn.heads.begin(), turn.heads.end(), LaterHead);
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
  std::pop_heap(turn.heads.begin(), turn.heads.end(), LaterHead);
  Head head = {turn.heads.back().first, turn.heads.back().second, account};
  turn.heads.pop_back();
  head.order.share = turn.share;
  return head;
}

}  // namespace kartograph::planner
