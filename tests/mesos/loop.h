// An event loop, and jobs for now and later on it.
#ifndef KARTOGRAPH_TESTS_MESOS_LOOP_H_
#define KARTOGRAPH_TESTS_MESOS_LOOP_H_

#include <functional>
#include <memory>

#include "absl/time/time.h"

namespace boost::asio {
class io_context;
}

namespace kartograph::stand_in {

// Used on the thread that runs it, but for Post and Stop.
class Loop {
 public:
  Loop();
  // Drops what has not run.
  ~Loop();

  // Until it is stopped.
  void Run();
  void Stop();

  // Thread-safe. Jobs run in order, not before the return.
  void Post(std::function<void()> job);
  // One timer serves all, as there may be tens of thousands. Jobs of one moment run in the order
  // in which they were given; never after an infinite delay.
  void After(absl::Duration delay, std::function<void()> job);
  // Drops the jobs for later.
  void Clear();

  boost::asio::io_context& io();

 private:
  struct Parts;
  void Arm();
  void RunDue();

  const std::unique_ptr<Parts> parts_;
};

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_LOOP_H_
