#include "planner/fair_share.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace kartograph::planner {
namespace {

// Averages are computed anew this often: what is in between counts, and makes no difference yet.
constexpr absl::Duration kPeriod = absl::Seconds(1);

}  // namespace

FairShare::FairShare() : accounts_(1) { by_name_.emplace("", 0); }

FairShare::Account FairShare::Use(absl::string_view name) {
  auto found = by_name_.find(name);
  if (found == by_name_.end()) {
    Account account = 0;
    if (free_.empty()) {
      account = static_cast<Account>(accounts_.size());
      accounts_.emplace_back();
    } else {
      account = free_.back();
      free_.pop_back();
    }
    accounts_[account] = Entry();
    accounts_[account].name = std::string(name);
    accounts_[account].weight = WeightOf(name);
    accounts_[account].cap = CapOf(name);
    accounts_[account].since = now_;
    found = by_name_.emplace(name, account).first;
  }
  ++accounts_[found->second].users;
  return found->second;
}

void FairShare::Release(Account account) {
  if (--accounts_[account].users < 0) std::abort();
}

double FairShare::WeightOf(absl::string_view name) const {
  const auto found = weights_.find(name);
  return found == weights_.end() ? 1 : found->second;
}

void FairShare::SetWeights(Weights weights) {
  weights_ = std::move(weights);
  for (const auto& [name, account] : by_name_) {
    accounts_[account].weight = WeightOf(name);
    Order(accounts_[account]);
  }
}

Cap FairShare::CapOf(absl::string_view name) const {
  auto found = caps_.find(name);
  if (found == caps_.end()) found = caps_.find(kEverybody);
  return found == caps_.end() ? Cap() : found->second;
}

void FairShare::SetCaps(Caps caps) {
  caps_ = std::move(caps);
  for (const auto& [name, account] : by_name_) accounts_[account].cap = CapOf(name);
}

void FairShare::SetTotal(const ResourceVector& total) {
  total_ = total;
  for (const auto& [name, account] : by_name_) Reckon(accounts_[account]);
}

void FairShare::Take(Account account, const ResourceVector& consumption) {
  accounts_[account].held.Take(consumption);
  Reckon(accounts_[account]);
}

void FairShare::Give(Account account, const ResourceVector& consumption) {
  accounts_[account].held.Give(consumption);
  Reckon(accounts_[account]);
}

void FairShare::Reckon(Entry& entry) {
  entry.area += entry.share * absl::ToDoubleSeconds(now_ - entry.since);
  entry.since = now_;
  entry.share = 0;
  for (const ResourceVector::Entry& part : entry.held.resources) {
    const int64_t all = total_.Get(part.resource).milli();
    // Of what nobody has any more, all that is left is held.
    const double share =
        all <= 0 ? 1 : static_cast<double>(part.quantity.milli()) / static_cast<double>(all);
    entry.share = std::max(entry.share, share);
  }
  Order(entry);
}

void FairShare::Order(Entry& entry) {
  entry.order = std::lround((entry.share + entry.average) / entry.weight / kQuantum);
}

void FairShare::Advance(SteadyTime now) {
  now_ = now;
  if (now - averaged_ >= kPeriod) Remember(now);
}

void FairShare::Remember(SteadyTime now) {
  const double seconds = absl::ToDoubleSeconds(now - averaged_);
  averaged_ = now;
  const double kept = std::exp2(-seconds / absl::ToDoubleSeconds(kHalfLife));
  for (const auto& [name, account] : by_name_) {
    Entry& entry = accounts_[account];
    Reckon(entry);
    const double lately = entry.area / seconds;
    entry.average = lately + (entry.average - lately) * kept;
    entry.area = 0;
    Order(entry);
  }
  Forget();
}

void FairShare::Forget() {
  std::vector<std::pair<double, Account>> idle;
  for (const auto& [name, account] : by_name_) {
    const Entry& entry = accounts_[account];
    if (account != 0 && entry.users == 0 && entry.held.empty())
      idle.emplace_back(entry.average, account);
  }
  std::sort(idle.begin(), idle.end());
  for (size_t i = 0; i < idle.size(); ++i) {
    if (idle[i].first >= kNegligible && idle.size() - i <= kMaxIdle) break;
    Remove(idle[i].second);
  }
}

void FairShare::Remove(Account account) {
  by_name_.erase(accounts_[account].name);
  accounts_[account] = Entry();
  free_.push_back(account);
}

std::vector<FairShare::Standing> FairShare::Standings() const {
  std::vector<Standing> standings;
  for (const auto& [name, account] : by_name_) {
    const Entry& entry = accounts_[account];
    standings.push_back(
        {name, entry.weight, entry.share, entry.average, entry.users, entry.held, entry.cap});
  }
  std::sort(standings.begin(), standings.end(),
            [](const Standing& a, const Standing& b) { return a.name < b.name; });
  return standings;
}

}  // namespace kartograph::planner
