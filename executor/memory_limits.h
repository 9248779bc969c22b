// How agents say in their offers by what the declared ram of attempts is kept.
#ifndef KARTOGRAPH_EXECUTOR_MEMORY_LIMITS_H_
#define KARTOGRAPH_EXECUTOR_MEMORY_LIMITS_H_

namespace kartograph::executor {

// The name of the attribute (executor/cluster.h). An agent without it does not say.
inline constexpr char kMemoryLimits[] = "memory_limits";
// Its value where control groups keep them. Any other value begins with kKeptByMeasuring and says
// why, for people.
inline constexpr char kKeptByKernel[] = "kernel";
inline constexpr char kKeptByMeasuring[] = "measuring";

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_MEMORY_LIMITS_H_
