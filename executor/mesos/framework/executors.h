// kartograph-executor as it is described to Mesos: how it is started on an agent, and which running
// one can be launched on.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_EXECUTORS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_EXECUTORS_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "executor/mesos/framework/offered_resources.h"
#include "executor/mesos/protocol/mesos.pb.h"
#include "planner/resources.h"

namespace kartograph::executor::mesos {

// Mesos takes a launch on a running executor only with exactly the description with which that one
// was started. So the id holds a digest of the description, and an executor of an earlier
// kartographd is used on if it would be described the same today. The role is a part of that, as it
// is of the resources that the executor was started with. Every start has an id of its own:
// the sandbox, with the logs of its attempts, is found by it. Thread-compatible.
class Executors {
 public:
  struct Options {
    // Where it is: a URL for the agents' fetcher, or a path on the agents.
    std::string url;
    std::string path;
    std::vector<std::string> arguments;
    // Its own resources, beside those of its attempts. Mesos wants at least 0.01 cpu and 32 MiB.
    planner::ResourceVector resources;
    std::string user = {};  // that it runs as, and its attempts; empty: the framework's
  };
  // `random_suffix` makes ids differ.
  Executors(Options options, std::function<std::string()> random_suffix);

  // Before all others; what was known of another framework is dropped.
  void SetFramework(const std::string& framework_id);

  // The executor of ours among these that a task of `role` can be launched on with what is offered;
  // null where there is none. Valid until the next call.
  const kartograph::mesos::ExecutorInfo* Find(
      const google::protobuf::RepeatedPtrField<kartograph::mesos::ExecutorID>& running,
      absl::string_view role, const OfferedResources& offered);
  // One to be started with these resources, which are options().resources out of an offer.
  kartograph::mesos::ExecutorInfo New(const std::vector<kartograph::mesos::Resource>& resources,
                                      absl::string_view role);
  // It has ended, or Mesos takes no launch on it: its id is not used again. Kept for as many as
  // have ended lately, because only offers that were on their way can still name them.
  void Forget(const std::string& executor_id);
  static constexpr size_t kMaxEnded = 100000;

  const Options& options() const { return options_; }
  static bool IsOurs(absl::string_view executor_id);

 private:
  kartograph::mesos::ExecutorInfo Describe() const;
  // How ids of executors for this role begin.
  const std::string& Prefix(absl::string_view role);
  const kartograph::mesos::ExecutorInfo* Known(const std::string& id, absl::string_view role);

  const Options options_;
  const std::function<std::string()> random_suffix_;
  std::string framework_id_;
  absl::flat_hash_map<std::string, std::string> prefixes_;  // by role
  absl::flat_hash_map<std::string, kartograph::mesos::ExecutorInfo> known_;
  absl::flat_hash_set<std::string> ended_;
  std::deque<std::string> ended_order_;  // the oldest first
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_EXECUTORS_H_
