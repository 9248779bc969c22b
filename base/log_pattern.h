// How all our programs write their logs.
#ifndef KARTOGRAPH_BASE_LOG_PATTERN_H_
#define KARTOGRAPH_BASE_LOG_PATTERN_H_

namespace kartograph {

// For spdlog, with pattern_time_type::utc: one zone everywhere, that of the command line.
inline constexpr char kLogPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_LOG_PATTERN_H_
