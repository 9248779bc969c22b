// How people give the masters of a cluster: `--cluster mesos:ADDRESS`.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MASTER_ADDRESS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MASTER_ADDRESS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "executor/mesos/endpoint.h"

namespace kartograph::executor::mesos {

struct MasterAddress {
  bool zookeeper = false;  // the hosts are ZooKeeper's, which knows the masters
  // To the masters. ZooKeeper does not know it, so an address with zk:// never sets it.
  bool tls = false;
  std::vector<HostPort> hosts;  // at least one
  std::string path;             // in ZooKeeper: where the masters register, such as "/mesos"
  std::string user, password;   // of ZooKeeper; empty: none

  std::string ToString() const;  // as it was given, without the password
};

// One of
//   http://host[:port][,host[:port]...]    the masters; the port is 5050 where there is none
//   https://...                            the same over TLS
//   zk://[user:password@]host[:port][,...]/path    ZooKeeper; the port is 2181
// InvalidArgument says what would be valid; it never has the password in it.
absl::StatusOr<MasterAddress> ParseMasterAddress(absl::string_view text);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_MASTER_ADDRESS_H_
