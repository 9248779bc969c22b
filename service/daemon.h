// All parts of kartographd, put together.
#ifndef KARTOGRAPH_SERVICE_DAEMON_H_
#define KARTOGRAPH_SERVICE_DAEMON_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "service/config/config.h"

namespace kartograph::service {

// Serves from Start to Stop. Thread-safe.
class Daemon {
 public:
  // Errors are one line that says what to do; nothing is left running then. InvalidArgument where
  // the settings are wrong, so that the next start would end in the same way.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const ServiceConfig& config);
  virtual ~Daemon() = default;

  // "grpc=HOST:PORT http=HOST:PORT", with the ports that were taken; "grpc=unix:PATH" where gRPC
  // has its socket alone.
  virtual std::string Addresses() const = 0;
  // Updates the health service; to be called from time to time. An error means that it cannot go
  // on.
  virtual absl::Status Check() = 0;
  // Takes over what can be changed while it runs: log level, capacities of pools, slots, retention.
  // Says in the log what it was and is, and what else is different, as that needs a restart. On an
  // error nothing is changed. One call at a time.
  virtual absl::Status Reload(const ServiceConfig& config) = 0;
  // Takes no more work; with `drain` waits until running attempts have ended. Once.
  virtual void Stop(bool drain) = 0;
  // Ends the waiting of a Stop that drains. From another thread.
  virtual void StopWaiting() = 0;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_DAEMON_H_
