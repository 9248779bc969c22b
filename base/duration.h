// Durations as people write and read them: the one grammar of graph files, settings and flags.
#ifndef KARTOGRAPH_BASE_DURATION_H_
#define KARTOGRAPH_BASE_DURATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kartograph {

// What google.protobuf.Duration can hold.
inline constexpr absl::Duration kMaxDuration = absl::Seconds(315576000000);

// "30" and "30s" (seconds), "500ms", "5m", "1h30m", "2d", "1.5h"; parts from large to small, each
// unit once; not negative. InvalidArgument says what would be valid and leaves it to the caller to
// say what was given, as in: "5 minutes" is not a valid duration; use one such as ...
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// As ParseDuration reads it, exact to the microsecond: "10ms", "1.5s", "5m", "1h30m", "0s".
std::string FormatSetting(absl::Duration duration);
// A span of time, short, for a person: "0.3 s", "42 s", "3 min 05 s", "2 h 07 min", "3 d 04 h".
std::string FormatElapsed(absl::Duration duration);
// As a clock shows it: "0:42", "3:05", "2:07:00".
std::string FormatClock(absl::Duration duration);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_DURATION_H_
