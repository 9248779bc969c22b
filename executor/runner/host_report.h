// What the host of an agent reports about itself: its processors, memory, disk and network.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_HOST_REPORT_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_HOST_REPORT_H_

#include <string>

#include "executor/cluster.h"

namespace kartograph::executor {

// Reads stat, loadavg, meminfo and net/dev in `proc` ("/proc"), and measures the file system of
// `folder`. What cannot be read stays zero. `agent` is empty. Thread-safe.
HostReport ReadHostReport(const std::string& proc, const std::string& folder);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_HOST_REPORT_H_
