// Finds the leading master in ZooKeeper, and keeps watching.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_ZOOKEEPER_FINDER_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_ZOOKEEPER_FINDER_H_

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "executor/mesos/framework/master_finder.h"

namespace kartograph::executor::mesos {

struct ZookeeperOptions {
  // Asked of the servers, which have limits of their own. Without a connection for twice as long, a
  // new session is begun, with the hosts' addresses looked up again.
  absl::Duration session_timeout = absl::Seconds(10);
  // Between attempts where something else is wrong, such as a host without an address.
  absl::Duration retry_delay = absl::Seconds(1);
};

// See MakeMasterFinder. A leader stays one while ZooKeeper cannot be reached. No call blocks, but
// for the end of a finder, which waits for its threads: long only while an address is looked up.
std::unique_ptr<MasterFinder> MakeZookeeperFinder(boost::asio::io_context& io,
                                                  MasterAddress address, ZookeeperOptions options,
                                                  std::function<void()> changed);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_ZOOKEEPER_FINDER_H_
