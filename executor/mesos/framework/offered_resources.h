// Mesos's resources in the planner's terms, and back.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_OFFERED_RESOURCES_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_OFFERED_RESOURCES_H_

#include <algorithm>
#include <vector>

#include "absl/status/statusor.h"
#include "executor/mesos/protocol/mesos.pb.h"
#include "planner/resources.h"

namespace kartograph::executor::mesos {

// As an unreserved scalar, rounded up to Mesos's precision.
kartograph::mesos::Resource MesosResource(planner::Resource resource, planner::Quantity quantity);

// The scalar resources of one offer or of several of the same agent. Mesos's "cpus" are our cpu,
// its "mem" and "disk" (MiB) our ram and disk (bytes), every other scalar keeps its name. An offer
// may lack any of them. Ranges and sets, volumes and shared resources are of no use to a task here
// and stay in the offer; so do revocable ones unless they are wanted.
//
// Mesos refuses a task that mixes revocable and other resources of one name, and one that differs
// in this from its executor. So of each name only the kind of which more was offered is used, or
// the one that cannot be revoked where they are equal; the rest stays in the offer, and is what the
// next one has more of.
//
// Reserved resources are the same to a task as unreserved ones, but Mesos must be told which of
// them it uses: so each piece keeps its role, its reservations and whether it is revocable, and
// what is reserved for us is used up first, as nobody else can have it. Thread-compatible.
class OfferedResources {
 public:
  enum class Revocable { kIgnored, kUsed };
  explicit OfferedResources(Revocable revocable = Revocable::kIgnored) : revocable_(revocable) {}

  // Adds those of an offer. What Mesos names in a way that we cannot (see planner::Resource), or
  // with an invalid quantity, is left out. More than Quantity::Max() counts as that, in each piece
  // and in their sum.
  template <typename Resources>
  void Add(const Resources& resources) {
    for (const kartograph::mesos::Resource& resource : resources) AddOne(resource);
  }

  const planner::ResourceVector& available() const { return available_; }
  // Both kinds of every name, whatever has been taken.
  planner::ResourceVector all() const {
    planner::ResourceVector sum = firm_total_;
    for (const auto& [resource, quantity] : revocable_total_) {
      sum.Set(resource, std::min(sum.Get(resource) + quantity, planner::Quantity::Max()));
    }
    return sum;
  }

  // Whether a task with these resources could run under an executor that holds those, as far as
  // revocable ones go.
  bool GoWith(
      const google::protobuf::RepeatedPtrField<kartograph::mesos::Resource>& executors_own) const;

  // Takes `wanted` out, in Mesos's terms; ResourceExhausted, and nothing taken, where it is not
  // there.
  absl::StatusOr<std::vector<kartograph::mesos::Resource>> Take(
      const planner::ResourceVector& wanted);

 private:
  struct Piece {
    planner::Resource resource;
    planner::Quantity left;
    kartograph::mesos::Resource mesos;  // but for its quantity
  };

  void AddOne(const kartograph::mesos::Resource& resource);
  // What is left of all pieces, at most Quantity::Max().
  void CountAvailable(planner::Resource resource);
  bool UsesRevocable(planner::Resource resource) const {
    return revocable_total_.Get(resource) > firm_total_.Get(resource);
  }

  Revocable revocable_;
  std::vector<Piece> pieces_;  // those that are reserved for us first
  // What was added of both kinds, whatever has been taken.
  planner::ResourceVector firm_total_, revocable_total_;
  planner::ResourceVector available_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_OFFERED_RESOURCES_H_
