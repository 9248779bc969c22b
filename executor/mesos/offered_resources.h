// Mesos's resources in the planner's terms, and back.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_OFFERED_RESOURCES_H_
#define KARTOGRAPH_EXECUTOR_MESOS_OFFERED_RESOURCES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "executor/mesos/protocol/mesos.pb.h"
#include "planner/resources.h"

namespace kartograph::executor::mesos {

// As a scalar that nobody has reserved, rounded up to Mesos's precision.
kartograph::mesos::Resource MesosResource(planner::Resource resource, planner::Quantity quantity);

// The scalar resources of one offer or of several of the same agent. Mesos's "cpus" are our cpu,
// its "mem" and "disk" (MiB) our ram and disk (bytes), every other scalar keeps its name. An offer
// may lack any of them. Ranges and sets, volumes and shared resources are of no use to a task here
// and stay in the offer; so do revocable ones unless they are wanted.
//
// Reserved resources are the same to a task as unreserved ones, but Mesos must be told which of
// them it uses: so each piece keeps its role, its reservations and whether it is revocable, and
// what is reserved for us is used up first, as nobody else can have it. Thread-compatible.
class OfferedResources {
 public:
  enum class Revocable { kIgnored, kUsed };
  explicit OfferedResources(Revocable revocable = Revocable::kIgnored) : revocable_(revocable) {}

  // Adds those of an offer. What Mesos names in a way that we cannot (see planner::Resource), or
  // with a quantity that is none, is left out.
  template <typename Resources>
  void Add(const Resources& resources) {
    for (const kartograph::mesos::Resource& resource : resources) AddOne(resource);
  }

  const planner::ResourceVector& available() const { return available_; }

  // Takes `wanted` out, in Mesos's terms; ResourceExhausted, and nothing taken, where it is not
  // there. Mesos refuses a task that mixes revocable and other resources of one name: each is taken
  // from what cannot be revoked where that is enough, and else from what can.
  absl::StatusOr<std::vector<kartograph::mesos::Resource>> Take(
      const planner::ResourceVector& wanted);

 private:
  struct Piece {
    planner::Resource resource;
    planner::Quantity left;
    kartograph::mesos::Resource mesos;  // but for its quantity
  };

  void AddOne(const kartograph::mesos::Resource& resource);
  planner::Quantity Left(planner::Resource resource, bool revocable) const;

  Revocable revocable_;
  std::vector<Piece> pieces_;  // those that are reserved for us first
  planner::ResourceVector available_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_OFFERED_RESOURCES_H_
