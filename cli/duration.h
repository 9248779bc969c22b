// Spans of time as people write and read them.
#ifndef KARTOGRAPH_CLI_DURATION_H_
#define KARTOGRAPH_CLI_DURATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace kartograph::cli {

// What the contract's Duration can hold.
inline constexpr absl::Duration kMaxDuration = absl::Seconds(315576000000);

// "30" and "30s" (seconds), "500ms", "5m", "1h30m", "2d", "1.5h"; parts from large to small, each
// unit once. InvalidArgument, whose message quotes the text and says what would be right.
absl::StatusOr<absl::Duration> ParseSpan(absl::string_view text);

// Short, for a person: "0.3 s", "42 s", "3 min 05 s", "2 h 07 min", "3 d 04 h".
std::string FormatSpan(absl::Duration duration);
// As a clock shows it: "0:42", "3:05", "2:07:00".
std::string FormatClock(absl::Duration duration);

google::protobuf::Duration ToProto(absl::Duration duration);
absl::Duration FromProto(const google::protobuf::Duration& duration);
absl::Time FromProto(const google::protobuf::Timestamp& time);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_DURATION_H_
