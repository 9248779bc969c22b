// In which order a plan tries what is ready.
#ifndef KARTOGRAPH_PLANNER_HEAD_QUEUE_H_
#define KARTOGRAPH_PLANNER_HEAD_QUEUE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "planner/fair_share.h"
#include "planner/ready_tasks.h"

namespace kartograph::planner {

// The first ready task of every consumption and lane. The account with the lowest share comes
// first, by what the shares are whenever it is asked: so each task that is placed may pass the turn
// to another account. Costs with the logarithms of accounts and consumptions. Thread-compatible.
class HeadQueue {
 public:
  struct Head {
    ReadyOrder order;
    ReadyTasks::ClassId consumption = 0;
    Lane lane;
  };

  // For the next plan.
  void Clear();
  // Before the first Pop, or of the account of the head that was popped last.
  void Push(const Head& head);
  // The first one, which leaves; nothing where there is none. Between two calls, only the share of
  // the account that was popped changes.
  std::optional<Head> Pop(const FairShare& shares);

 private:
  // The heads of an account, a heap; their orders are without the share, which all have in common.
  struct Turn {
    int64_t share = 0;
    std::vector<Head> heads;
  };
  static bool IsLaterHead(const Head& a, const Head& b) { return b.order < a.order; }
  bool IsLater(FairShare::Account a, FairShare::Account b) const;

  std::vector<Turn> turns_;                   // by account, kept to save their allocations
  std::vector<FairShare::Account> accounts_;  // with heads; a heap
  std::optional<FairShare::Account> popped_;  // not in accounts_ until the next Pop
  bool begun_ = false;
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_HEAD_QUEUE_H_
