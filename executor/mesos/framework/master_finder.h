// Finds the master of Mesos to talk to.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MASTER_FINDER_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MASTER_FINDER_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "executor/mesos/endpoint.h"
#include "executor/mesos/framework/master_address.h"

namespace boost::asio {
class io_context;
}

namespace kartograph::executor::mesos {

// What a finder's endpoints have as their target.
inline constexpr char kSchedulerTarget[] = "/api/v1/scheduler";

// Bound to the io_context's thread.
class MasterFinder {
 public:
  virtual ~MasterFinder() = default;

  // Which endpoint to try next: of a list one after the other, and from the first again; with
  // ZooKeeper the leader, as far as is known. Unavailable, with the reason for people, where none
  // is known now.
  virtual absl::StatusOr<Endpoint> Next() = 0;
};

// `changed` is called by the io_context, never before the return, whenever the leader changes, or
// there is one where there was none; it may destroy the finder. A list never changes, and never
// calls it. The io_context outlives the finder. InvalidArgument for an address that names no host.
absl::StatusOr<std::unique_ptr<MasterFinder>> MakeMasterFinder(boost::asio::io_context& io,
                                                               MasterAddress address,
                                                               std::function<void()> changed);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MASTER_FINDER_H_
