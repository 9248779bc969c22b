#include "cli/duration.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/file_problems.h"

namespace kartograph::cli {
namespace {

struct Unit {
  absl::string_view name;
  double seconds;
};
// From large to small.
constexpr Unit kUnits[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}, {"ms", 0.001}};

absl::Status Wrong(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(text),
                   " is not a span of time; right would be 30, 30s, 500ms, 5m, "
                   "1h30m or 2d"));
}

}  // namespace

absl::StatusOr<absl::Duration> ParseSpan(absl::string_view text) {
  absl::string_view rest = text;
  double seconds = 0;
  size_t next_unit = 0;  // in kUnits; those before are used up
  if (rest.empty()) return Wrong(text);
  while (!rest.empty()) {
    size_t digits = 0;
    while (digits < rest.size() && (absl::ascii_isdigit(rest[digits]) || rest[digits] == '.')) {
      ++digits;
    }
    double number;
    if (digits == 0 || !absl::SimpleAtod(rest.substr(0, digits), &number)) return Wrong(text);
    rest.remove_prefix(digits);
    size_t letters = 0;
    while (letters < rest.size() && absl::ascii_isalpha(rest[letters])) ++letters;
    const absl::string_view name = rest.substr(0, letters);
    rest.remove_prefix(letters);
    if (name.empty()) {
      // A number alone is in seconds; "1h30" could be meant in two ways.
      if (next_unit != 0 || !rest.empty()) return Wrong(text);
      seconds = number;
      break;
    }
    size_t unit = next_unit;
    while (unit < std::size(kUnits) && kUnits[unit].name != name) ++unit;
    if (unit == std::size(kUnits)) return Wrong(text);
    seconds += number * kUnits[unit].seconds;
    next_unit = unit + 1;
  }
  if (!std::isfinite(seconds) || seconds > absl::ToDoubleSeconds(kMaxDuration)) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(text), " is too long"));
  }
  // Spans are given to the millisecond at the finest; nanoseconds keep 0.1 + 0.2 from showing.
  const double whole = std::floor(seconds);
  return absl::Seconds(static_cast<int64_t>(whole)) +
         absl::Nanoseconds(std::llround((seconds - whole) * 1e6) * 1000);
}

std::string FormatSpan(absl::Duration duration) {
  if (duration < absl::ZeroDuration()) duration = absl::ZeroDuration();
  if (duration < absl::Milliseconds(9950)) {
    return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
  }
  const int64_t seconds = absl::ToInt64Seconds(duration + absl::Milliseconds(500));
  if (seconds < 60) return absl::StrFormat("%d s", seconds);
  if (seconds < 3600) return absl::StrFormat("%d min %02d s", seconds / 60, seconds % 60);
  const int64_t minutes = seconds / 60;
  if (minutes < 24 * 60) return absl::StrFormat("%d h %02d min", minutes / 60, minutes % 60);
  const int64_t hours = minutes / 60;
  return absl::StrFormat("%d d %02d h", hours / 24, hours % 24);
}

std::string FormatClock(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration));
  if (seconds < 3600) return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
  return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto.set_nanos(
      static_cast<int32_t>(absl::IDivDuration(duration, absl::Nanoseconds(1), &duration)));
  return proto;
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

}  // namespace kartograph::cli
