// The packer under random operations, from a seed each, beside a model that checks everything.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "planner/packer.h"

namespace kartograph::planner {
namespace {

const Resource kDb = Resource::Named("db_connections");

#ifdef KARTOGRAPH_SANITIZED
constexpr uint64_t kSeeds = 60;
#else
constexpr uint64_t kSeeds = 400;
#endif

class World {
 public:
  World(uint64_t seed, int most_agents)
      : random_(seed), most_agents_(most_agents), packer_(pools_), pool_free_(pools_) {
    const int classes = 1 + Below(6);
    for (int i = 0; i < classes; ++i) {
      ResourceVector v;
      if (Below(5) > 0) v.Set(Resource::Cpu(), Quantity::FromMilli(500 * (1 + Below(6))));
      if (Below(2) == 0) v.Set(Resource::Ram(), Quantity::Of(1 + Below(8)));
      if (Below(4) == 0) v.Set(kDb, Quantity::Of(1 + Below(3)));
      consumptions_.push_back(v);
      constraints_.push_back(AnyConstraints());
      spreads_.push_back(AnySpread());
      ClassOf(consumptions_.size() - 1);
    }
    const int agents = 1 + Below(most_agents);
    for (int i = 0; i < agents; ++i) AddAgent();
  }

  void Run() {
    for (int round = 0; round < 40 && !::testing::Test::HasFailure(); ++round) {
      for (int i = Below(30); i > 0; --i) Ready();
      for (int i = Below(10); i > 0; --i) End();
      if (Below(3) == 0) NotReady();
      if (Below(4) == 0) Toggle();
      if (Below(6) == 0) Resize();
      if (Below(6) == 0) Move();
      if (Below(8) == 0 && static_cast<int>(agents_.size()) < most_agents_) AddAgent();
      if (Below(6) == 0) ReplaceAgent();
      if (Below(6) == 0) ReplaceConsumption();
      Plan();
    }
  }

 private:
  struct Task {
    ReadyKey key;
    size_t consumption;
  };
  struct Running {
    size_t consumption;
    Packer::AgentId agent;
  };
  struct Agent {
    ResourceVector capacity;
    ResourceVector free;
    bool usable = true;
    int zone = 0;
  };
  static constexpr int kZones = 3;

  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  ResourceVector AnyCapacity() {
    return {{Resource::Cpu(), Quantity::Of(Below(9))}, {Resource::Ram(), Quantity::Of(Below(17))}};
  }
  // Some ask for a zone, or for any but one.
  Constraints AnyConstraints() {
    if (Below(2) == 0) return {};
    return Constraints(
        {{"zone", Constraint::Operator::kEquals, Below(2) == 0, {absl::StrCat(Below(kZones))}}});
  }
  Spread AnySpread() {
    if (Below(3) > 0) return {};
    return {absl::StrCat("group", Below(2)), 1 + Below(2)};
  }
  bool IsFull(size_t consumption, const Agent& agent) const {
    const Spread& spread = spreads_[consumption];
    const auto there = std::count_if(running_.begin(), running_.end(), [&](const Running& running) {
      return &agents_[running.agent] == &agent &&
             spreads_[running.consumption].group == spread.group;
    });
    return !spread.empty() && there >= spread.per_agent;
  }
  bool IsAllowed(size_t consumption, int zone) const {
    for (const Constraint& constraint : constraints_[consumption].all()) {
      if ((constraint.values.front() == absl::StrCat(zone)) == constraint.negated) return false;
    }
    return true;
  }
  int AnyZone(Packer::AgentId id) {
    const int zone = Below(kZones);
    packer_.SetTraits(id, {"id", "name", {{"zone", absl::StrCat(zone)}}});
    return zone;
  }
  Packer::ClassId ClassOf(size_t consumption) {
    const Spread& spread = spreads_[consumption];
    return packer_.Intern(consumptions_[consumption],
                          {constraints_[consumption], spread, spread.empty() ? 0u : 1u});
  }
  const ResourceVector& AgentPart(size_t c) { return packer_.agent_part(ClassOf(c)); }
  const ResourceVector& PoolPart(size_t c) { return packer_.pool_part(ClassOf(c)); }

  void AddAgent() {
    const ResourceVector capacity = AnyCapacity();
    const Packer::AgentId id = packer_.AddAgent();
    packer_.SetCapacity(id, capacity);
    packer_.SetFree(id, capacity);
    packer_.SetUsable(id, true);
    agents_.push_back({capacity, capacity, true, AnyZone(id)});
    Scale(capacity);
  }
  // An agent is gone for good with all on it, and another one comes, which gets its id.
  void ReplaceAgent() {
    const auto id = static_cast<Packer::AgentId>(Below(static_cast<int>(agents_.size())));
    std::erase_if(running_, [&](const Running& running) {
      if (running.agent != id) return false;
      packer_.GivePools(ClassOf(running.consumption));
      packer_.Refund(1, ClassOf(running.consumption), id);
      pool_free_ += PoolPart(running.consumption);
      return true;
    });
    packer_.RemoveAgent(id);
    const ResourceVector capacity = AnyCapacity();
    ASSERT_EQ(packer_.AddAgent(), id);
    packer_.SetCapacity(id, capacity);
    packer_.SetFree(id, capacity);
    packer_.SetUsable(id, true);
    agents_[id] = {capacity, capacity, true, AnyZone(id)};
    Scale(capacity);
  }
  // An unused consumption is removed, and another one takes its id.
  void ReplaceConsumption() {
    const size_t c = static_cast<size_t>(Below(static_cast<int>(consumptions_.size())));
    const auto used = [&](const auto& x) { return x.consumption == c; };
    if (std::any_of(ready_.begin(), ready_.end(), used)) return;
    if (std::any_of(running_.begin(), running_.end(), used)) return;
    ResourceVector other = {{Resource::Cpu(), Quantity::FromMilli(100 + Below(2000))}};
    if (std::find(consumptions_.begin(), consumptions_.end(), other) != consumptions_.end()) return;
    if (std::count(consumptions_.begin(), consumptions_.end(), consumptions_[c]) > 1) return;
    packer_.RemoveClass(ClassOf(c));
    consumptions_[c] = other;
    constraints_[c] = AnyConstraints();
    spreads_[c] = AnySpread();
    ClassOf(c);
  }
  void Scale(const ResourceVector& capacity) {
    for (const auto& e : capacity) {
      if (e.quantity > scale_.Get(e.resource)) scale_.Set(e.resource, e.quantity);
    }
  }
  void Ready() {
    const size_t consumption = static_cast<size_t>(Below(static_cast<int>(consumptions_.size())));
    const ReadyKey key = {Below(3), static_cast<uint32_t>(1 + Below(3)), TaskKey::Of(1, next_++)};
    packer_.AddReady(ClassOf(consumption), key);
    ready_.push_back({key, consumption});
  }
  void NotReady() {
    if (ready_.empty()) return;
    const size_t i = static_cast<size_t>(Below(static_cast<int>(ready_.size())));
    packer_.RemoveReady(ClassOf(ready_[i].consumption), ready_[i].key);
    ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  void End() {
    if (running_.empty()) return;
    const size_t i = static_cast<size_t>(Below(static_cast<int>(running_.size())));
    const Running ended = running_[i];
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    packer_.Give(ended.agent, ClassOf(ended.consumption));
    packer_.GivePools(ClassOf(ended.consumption));
    packer_.Refund(1, ClassOf(ended.consumption), ended.agent);
    agents_[ended.agent].free += AgentPart(ended.consumption);
    pool_free_ += PoolPart(ended.consumption);
  }
  void Toggle() {
    const auto id = static_cast<Packer::AgentId>(Below(static_cast<int>(agents_.size())));
    agents_[id].usable = !agents_[id].usable;
    packer_.SetUsable(id, agents_[id].usable);
  }
  // Its attributes change.
  void Move() {
    const auto id = static_cast<Packer::AgentId>(Below(static_cast<int>(agents_.size())));
    agents_[id].zone = AnyZone(id);
  }
  // A new offer, which may hold less than what runs there already.
  void Resize() {
    const auto id = static_cast<Packer::AgentId>(Below(static_cast<int>(agents_.size())));
    ResourceVector free = AnyCapacity();
    packer_.SetCapacity(id, free);
    agents_[id].capacity = free;
    Scale(free);
    for (const Running& running : running_) {
      if (running.agent == id) free -= AgentPart(running.consumption);
    }
    packer_.SetFree(id, free);
    agents_[id].free = free;
  }

  bool Fits(size_t consumption, const Agent& agent) {
    return agent.usable && IsAllowed(consumption, agent.zone) && !IsFull(consumption, agent) &&
           AgentPart(consumption).FitsIn(agent.free) && PoolPart(consumption).FitsIn(pool_free_);
  }
  bool FitsAnywhere(size_t consumption) {
    return std::any_of(agents_.begin(), agents_.end(),
                       [&](const Agent& agent) { return Fits(consumption, agent); });
  }
  double Leftover(size_t consumption, const Agent& agent) {
    double sum = 0;
    std::vector<double> all;
    for (const auto& e : agent.capacity) {
      const Quantity need = AgentPart(consumption).Get(e.resource);
      all.push_back((agent.free.Get(e.resource) - need).units() / scale_.Get(e.resource).units());
      if (!need.is_zero()) sum += all.back();
    }
    if (all.empty()) return sum;
    const double most = std::max(0.0, *std::max_element(all.begin(), all.end()));
    return sum + most - std::min(most, *std::min_element(all.begin(), all.end()));
  }
  // The ready task that must go first of those that fit.
  std::vector<Task>::iterator First() {
    std::vector<bool> fits;
    for (size_t c = 0; c < consumptions_.size(); ++c) fits.push_back(FitsAnywhere(c));
    auto first = ready_.end();
    for (auto it = ready_.begin(); it != ready_.end(); ++it) {
      if (fits[it->consumption] && (first == ready_.end() || it->key < first->key)) first = it;
    }
    return first;
  }

  void Plan() {
    std::vector<Packer::Placement> placements;
    packer_.Plan(&placements);
    for (const Packer::Placement& p : placements) {
      const auto first = First();
      ASSERT_NE(first, ready_.end()) << "placed what does not fit";
      ASSERT_EQ(p.task, first->key.task) << "placed out of order";
      ASSERT_LT(p.agent, agents_.size());
      Agent& agent = agents_[p.agent];
      ASSERT_TRUE(Fits(first->consumption, agent)) << "over-committed agent " << p.agent;
      if (agents_.size() <= 8) CheckBestFit(first->consumption, agent);
      agent.free -= AgentPart(first->consumption);
      pool_free_ -= PoolPart(first->consumption);
      running_.push_back({first->consumption, p.agent});
      ready_.erase(first);
    }
    ASSERT_EQ(First(), ready_.end()) << "left a task that fits";
    ASSERT_EQ(packer_.ready_count(), ready_.size());
    ASSERT_EQ(packer_.pool_free(), pool_free_);
    for (Packer::AgentId i = 0; i < agents_.size(); ++i) {
      ASSERT_EQ(packer_.free(i), agents_[i].free);
    }
  }

  void CheckBestFit(size_t consumption, const Agent& chosen) {
    const double least = Leftover(consumption, chosen);
    for (const Agent& agent : agents_) {
      if (!Fits(consumption, agent)) continue;
      ASSERT_GE(Leftover(consumption, agent), least - 1e-9) << "another agent would fit better";
    }
  }

  std::mt19937_64 random_;
  const int most_agents_;
  const ResourceVector pools_ = {{kDb, Quantity::Of(4)}};
  Packer packer_;
  ResourceVector pool_free_;
  ResourceVector scale_;
  std::vector<ResourceVector> consumptions_;
  std::vector<Constraints> constraints_;  // of each
  std::vector<Spread> spreads_;           // likewise
  std::vector<Agent> agents_;
  std::vector<Task> ready_;
  std::vector<Running> running_;
  TaskIndex next_ = 0;
};

void RunSeeds(int most_agents) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    World world(seed, most_agents);
    world.Run();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(PackerRandomTest, AFewAgentsArePackedInOrderAndByBestFitAndNeverLeftIdle) { RunSeeds(6); }
TEST(PackerRandomTest, ManyAgentsArePackedInOrderAndNeverOverCommittedOrLeftIdle) { RunSeeds(80); }

}  // namespace
}  // namespace kartograph::planner
