// By what the declared ram of attempts is kept: how agents say it in their offers, and what is set.
#ifndef KARTOGRAPH_EXECUTOR_MEMORY_LIMITS_H_
#define KARTOGRAPH_EXECUTOR_MEMORY_LIMITS_H_

#include <cstdint>
#include <limits>

namespace kartograph::executor {

// The name of the attribute (executor/cluster.h). An agent without it does not say.
inline constexpr char kMemoryLimits[] = "memory_limits";
// Its value where control groups keep them. Any other value begins with kKeptByMeasuring and says
// why, for people.
inline constexpr char kKeptByKernel[] = "kernel";
inline constexpr char kKeptByMeasuring[] = "measuring";

// Where it is kept by measuring: how many bytes more than twice what its attempt has declared each
// process can map for itself (RLIMIT_DATA). Enough for what programs map and hardly touch, such as
// the stacks of threads; what they use is measured.
struct RamHeadroom {
  // 4 GiB, or a sixteenth of the machine's memory where that is more.
  static constexpr int64_t kUsual = -1;
  // No limit, as for programs that map terabytes (sanitizers).
  static constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_MEMORY_LIMITS_H_
