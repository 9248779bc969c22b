// Puts what a command wants into its sandbox.
#ifndef KARTOGRAPH_TESTS_MESOS_FETCH_H_
#define KARTOGRAPH_TESTS_MESOS_FETCH_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "executor/mesos/protocol/mesos.pb.h"
#include "tests/mesos/loop.h"

namespace kartograph::stand_in {

// From http:// with an address in figures or localhost, or from the file system. Archives stay as
// they are. `done` is called once, on the loop's thread, perhaps before the return.
void FetchAll(Loop& loop, const mesos::CommandInfo& command, const std::string& directory,
              std::function<void(const absl::Status&)> done);

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_FETCH_H_
