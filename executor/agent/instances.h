// Which instances of a host's indexed resources are free.
#ifndef KARTOGRAPH_EXECUTOR_AGENT_INSTANCES_H_
#define KARTOGRAPH_EXECUTOR_AGENT_INSTANCES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/descriptor.h"
#include "executor/cluster.h"
#include "planner/instances.h"
#include "planner/resources.h"

namespace kartograph::executor {

// Hands each instance to one attempt at a time. Thread-compatible.
class Instances {
 public:
  // Where `shared_as` is not empty, other agents of this host hand out the same instances under
  // that name: what one of them has taken, none of the others takes (see ClaimOnHost).
  explicit Instances(std::string shared_as = "") : shared_as_(std::move(shared_as)) {}

  // What there is from now on. What is taken stays taken until it is freed, whether it is in these
  // lists or not.
  void SetLists(planner::InstanceLists lists) { lists_ = std::move(lists); }

  // Takes what `consumption` has of indexed resources, the first free ones of each list. The answer
  // names every indexed resource, those without a quantity with no instances. InvalidArgument for a
  // quantity that is not whole; ResourceExhausted, with nothing taken, where too few are free.
  absl::StatusOr<std::vector<HeldInstances>> Take(const planner::ResourceVector& consumption);
  void Free(const std::vector<HeldInstances>& held);

 private:
  using Instance = std::pair<planner::Resource, std::string>;

  // Whether it was free.
  bool TakeOne(const Instance& instance);
  // Not ok: another agent has it.
  Descriptor Claim(const Instance& instance);

  const std::string shared_as_;
  planner::InstanceLists lists_;
  absl::btree_map<Instance, Descriptor> taken_;  // with the claim, where it is shared
  absl::btree_set<Instance> given_up_;           // claims that were closed
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_AGENT_INSTANCES_H_
