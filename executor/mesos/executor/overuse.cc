#include "executor/mesos/executor/overuse.h"

#include <algorithm>
#include <optional>

namespace kartograph::executor::mesos {

using kartograph::mesos::Overuse;
using planner::AttemptId;

namespace {

uint64_t Bytes(planner::Quantity quantity) {
  return static_cast<uint64_t>(quantity.milli()) / 1000;
}

uint64_t Over(uint64_t used, uint64_t declared) { return used - std::min(used, declared); }

bool Differs(uint64_t a, uint64_t b) {
  const uint64_t more = std::max(a, b);
  const uint64_t difference = more - std::min(a, b);
  return difference >= OveruseTable::kLeast && difference >= more / 4;
}

}  // namespace

uint64_t OveruseTable::RamOf(const planner::ResourceVector& consumption) {
  return Bytes(consumption.Get(planner::Resource::Ram()));
}

uint64_t OveruseTable::DiskOf(const planner::ResourceVector& consumption) {
  const std::optional<planner::Resource> disk = planner::Resource::Find("disk");
  return disk ? Bytes(consumption.Get(*disk)) : 0;
}

void OveruseTable::OnLaunch(AttemptId attempt, const planner::ResourceVector& consumption) {
  attempts_[attempt] = {.ram_declared = RamOf(consumption), .disk_declared = DiskOf(consumption)};
}

bool OveruseTable::SetMemory(const std::vector<std::pair<AttemptId, uint64_t>>& used) {
  uint64_t sum = 0;
  for (const auto& [attempt, bytes] : used) {
    sum += bytes;
    if (auto it = attempts_.find(attempt); it != attempts_.end()) it->second.ram = bytes;
  }
  return sum >= std::exchange(memory_, sum) + kLeast;
}

void OveruseTable::SetDisk(const SandboxKeeper::Usage& used) {
  for (const auto& [attempt, bytes] : used.running) {
    if (auto it = attempts_.find(attempt); it != attempts_.end()) it->second.disk = bytes;
  }
  left_ = used.left;
}

Overuse OveruseTable::Describe() const {
  Overuse all;
  all.set_other_disk_bytes(left_);
  std::vector<Overuse::Attempt> over;
  for (const auto& [attempt, use] : attempts_) {
    Overuse::Attempt one;
    one.set_attempt(attempt.value);
    one.set_ram_bytes(use.ram);
    one.set_ram_over_bytes(Over(use.ram, use.ram_declared));
    one.set_disk_bytes(use.disk);
    one.set_disk_over_bytes(Over(use.disk, use.disk_declared));
    over.push_back(one);
  }
  std::sort(over.begin(), over.end(), [](const auto& a, const auto& b) {
    const uint64_t more = std::max(a.ram_over_bytes(), a.disk_over_bytes());
    const uint64_t less = std::max(b.ram_over_bytes(), b.disk_over_bytes());
    return more != less ? more > less : a.attempt() < b.attempt();
  });
  for (const Overuse::Attempt& one : over) {
    const bool told = std::max(one.ram_over_bytes(), one.disk_over_bytes()) >= kLeast;
    if (told && static_cast<size_t>(all.attempts_size()) < kMaxNamed) {
      *all.add_attempts() = one;
    } else {
      all.set_other_ram_bytes(all.other_ram_bytes() + one.ram_over_bytes());
      all.set_other_disk_bytes(all.other_disk_bytes() + one.disk_over_bytes());
    }
  }
  return all;
}

bool OveruseTable::IsNews(const Overuse& now, const Overuse& told) {
  if (Differs(now.other_ram_bytes(), told.other_ram_bytes()) ||
      Differs(now.other_disk_bytes(), told.other_disk_bytes())) {
    return true;
  }
  absl::flat_hash_map<uint64_t, std::pair<Overuse::Attempt, Overuse::Attempt>> pairs;
  for (const auto& one : now.attempts()) pairs[one.attempt()].first = one;
  for (const auto& one : told.attempts()) pairs[one.attempt()].second = one;
  return std::any_of(pairs.begin(), pairs.end(), [](const auto& entry) {
    const auto& [is, was] = entry.second;
    return Differs(is.ram_over_bytes(), was.ram_over_bytes()) ||
           Differs(is.disk_over_bytes(), was.disk_over_bytes());
  });
}

}  // namespace kartograph::executor::mesos
