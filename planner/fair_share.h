// Whose turn it is: who has had the least of what is due.
#ifndef KARTOGRAPH_PLANNER_FAIR_SHARE_H_
#define KARTOGRAPH_PLANNER_FAIR_SHARE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "planner/cap.h"
#include "planner/resources.h"

namespace kartograph::planner {

// Weighted dominant resource fairness (Ghodsi and others, NSDI 2011) with a memory. An account's
// dominant share is the part that it holds of the resource of which it holds the largest part,
// among all agents' resources and pools together. It is added to its average over the time before,
// in which what is kHalfLife ago counts half, and divided by the account's weight: the account with
// the least goes first. So two that keep the cluster busy get parts in proportion to their weights,
// and one that has held little comes first for a while. Thread-compatible; the same calls at the
// same times give the same order.
class FairShare {
 public:
  using Account = uint32_t;  // small numbers; those of what was removed are used again
  using Weights = absl::flat_hash_map<std::string, double>;  // by name; more than 0
  using Caps = absl::flat_hash_map<std::string, Cap>;        // by name
  static constexpr char kEverybody[] = "*";                  // in Caps: whoever has none

  static constexpr absl::Duration kHalfLife = absl::Minutes(30);
  // Accounts that differ by less than this part of the cluster are taken to be even.
  static constexpr double kQuantum = 1e-3;
  // Accounts of nobody who is there are remembered for as long as they matter, and so many.
  static constexpr double kNegligible = 1e-4;
  static constexpr size_t kMaxIdle = 10000;

  // With the account 0, of the empty name, which stays.
  FairShare();

  // --- accounts ---
  // Of this name, made where there is none; it is kept while it is used (see Release).
  Account Use(absl::string_view name);
  void Release(Account account);
  const std::string& name(Account account) const { return accounts_[account].name; }
  // 1 where it is not among them.
  void SetWeights(Weights weights);
  void SetCaps(Caps caps);
  // Of whoever has this name.
  Cap CapOf(absl::string_view name) const;
  bool IsOverCap(Account account, const ResourceVector& consumption) const {
    const Entry& entry = accounts_[account];
    return planner::IsOverCap(entry.cap, entry.held, consumption);
  }
  std::optional<AtCap> WhyOverCap(Account account, const ResourceVector& consumption) const {
    const Entry& entry = accounts_[account];
    return planner::WhyOverCap(entry.cap, entry.held, consumption);
  }

  // --- what is held ---
  // `total`: of all agents and pools.
  void SetTotal(const ResourceVector& total);
  void Take(Account account, const ResourceVector& consumption);
  void Give(Account account, const ResourceVector& consumption);
  // What is taken and given from now on is at this time, which does not go back.
  void Advance(SteadyTime now);

  // In units of kQuantum. Less is first.
  int64_t Of(Account account) const { return accounts_[account].order; }

  struct Standing {
    std::string name;
    double weight = 1;
    double held = 0;     // the dominant share now; over 1 where a backlog waits as well
    double average = 0;  // the decayed average of it
    int64_t graphs = 0;  // that use it
    Holding holding;
    Cap cap;
  };
  // By name.
  std::vector<Standing> Standings() const;
  size_t size() const { return by_name_.size(); }

 private:
  struct Entry {
    std::string name;
    int64_t users = 0;
    double weight = 1;
    Cap cap;
    Holding held;
    double share = 0;  // of `held`
    double area = 0;   // of the share over the time since the average was computed, in seconds
    SteadyTime since;  // when the share became this
    double average = 0;
    int64_t order = 0;
  };

  double WeightOf(absl::string_view name) const;
  void Reckon(Entry& entry);
  void Order(Entry& entry);
  void Remember(SteadyTime now);
  void Forget();
  void Remove(Account account);

  ResourceVector total_;
  std::vector<Entry> accounts_;
  std::vector<Account> free_;
  absl::flat_hash_map<std::string, Account> by_name_;
  Weights weights_;
  Caps caps_;
  SteadyTime now_;
  SteadyTime averaged_;  // when the averages were computed
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_FAIR_SHARE_H_
