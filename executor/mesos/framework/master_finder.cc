#include "executor/mesos/framework/master_finder.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "executor/mesos/framework/zookeeper_finder.h"

namespace kartograph::executor::mesos {
namespace {

// Whichever master is asked says who leads; so the first that answers will do.
class ListFinder final : public MasterFinder {
 public:
  explicit ListFinder(MasterAddress address) : address_(std::move(address)) {}

  absl::StatusOr<Endpoint> Next() override {
    const HostPort& host = address_.hosts[next_];
    next_ = (next_ + 1) % address_.hosts.size();
    return Endpoint{address_.tls, host.host, host.port, kSchedulerTarget};
  }

 private:
  const MasterAddress address_;
  size_t next_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MasterFinder>> MakeMasterFinder(boost::asio::io_context& io,
                                                               MasterAddress address,
                                                               std::function<void()> changed) {
  if (address.hosts.empty()) {
    return absl::InvalidArgumentError("the address of the Mesos masters names no host");
  }
  if (address.zookeeper) {
    return MakeZookeeperFinder(io, std::move(address), {}, std::move(changed));
  }
  return std::make_unique<ListFinder>(std::move(address));
}

}  // namespace kartograph::executor::mesos
