#include "executor/agent/instances.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "executor/agent/host_claim.h"

namespace kartograph::executor {
namespace {

// A process on its way to its program closes what it has of ours at once, when it gets a cpu.
constexpr int kClaimTries = 100;
constexpr absl::Duration kClaimPause = absl::Milliseconds(1);

}  // namespace

absl::StatusOr<std::vector<HeldInstances>> Instances::Take(
    const planner::ResourceVector& consumption) {
  std::vector<HeldInstances> held;
  absl::Status status;
  for (const auto& [resource, names] : lists_) {
    const planner::Quantity quantity = consumption.Get(resource);
    if (quantity.milli() % 1000 != 0) {
      status = absl::InvalidArgumentError(absl::StrCat("needs ", quantity.ToString(), " of ",
                                                       resource.name(),
                                                       ", which is handed out in whole instances"));
      break;
    }
    const auto wanted = static_cast<uint64_t>(quantity.milli() / 1000);
    HeldInstances& of_one = held.emplace_back(HeldInstances{resource, {}});
    for (auto name = names.begin(); name != names.end() && of_one.names.size() < wanted; ++name) {
      if (TakeOne({resource, *name})) of_one.names.push_back(*name);
    }
    if (of_one.names.size() < wanted) {
      status = absl::ResourceExhaustedError(
          absl::StrCat("needs ", wanted, " instances of ", resource.name(), ", only ",
                       of_one.names.size(), " of ", names.size(), " are free"));
      break;
    }
  }
  if (status.ok()) return held;
  Free(held);
  return status;
}

bool Instances::TakeOne(const Instance& instance) {
  if (taken_.contains(instance)) return false;
  Descriptor claim;
  if (!shared_as_.empty()) {
    claim = Claim(instance);
    if (!claim.ok()) return false;
  }
  taken_.emplace(instance, std::move(claim));
  return true;
}

Descriptor Instances::Claim(const Instance& instance) {
  const std::string name =
      absl::StrCat(shared_as_, "/", instance.first.name(), "/", instance.second);
  // A process that was being started when we gave it up may have it for a moment longer.
  const bool was_ours = given_up_.erase(instance) > 0;
  for (int tries = 1;; ++tries) {
    absl::StatusOr<Descriptor> claim = ClaimOnHost(name);
    if (claim.ok()) return *std::move(claim);
    if (!was_ours || tries >= kClaimTries) return Descriptor();
    absl::SleepFor(kClaimPause);
  }
}

void Instances::Free(const std::vector<HeldInstances>& held) {
  for (const HeldInstances& of_one : held) {
    for (const std::string& name : of_one.names) {
      const Instance instance = {of_one.resource, name};
      taken_.erase(instance);
      if (!shared_as_.empty()) given_up_.insert(instance);
    }
  }
}

}  // namespace kartograph::executor
