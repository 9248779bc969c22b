// The line in the log that says how the service began.
#ifndef KARTOGRAPH_SERVICE_START_LINE_H_
#define KARTOGRAPH_SERVICE_START_LINE_H_

#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace kartograph::service {

// It names the agent, which is known some milliseconds after the service is ready, or says that
// none came in time. Thread-safe.
class StartLine {
 public:
  // How long the agent is waited for.
  static constexpr absl::Duration kPatience = absl::Seconds(3);

  // One is connected; `agent` says what is to be known of it. False: the line has been taken, and
  // this belongs into one of its own.
  bool OnAgent(std::string agent);
  // The service is ready; `found` is the line but for the agent.
  void Begin(std::string found, SteadyTime now);
  // The line, once: nothing where it has been taken, or where it is too early; InfiniteFuture is
  // late enough for every one that has begun.
  std::optional<std::string> Take(SteadyTime now);

 private:
  Mutex mutex_;
  std::string found_ ABSL_GUARDED_BY(mutex_);
  std::string agent_ ABSL_GUARDED_BY(mutex_);
  SteadyTime until_ ABSL_GUARDED_BY(mutex_) = SteadyTime::InfiniteFuture();
  bool taken_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_START_LINE_H_
