#include "base/duration.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kartograph {
namespace {

struct Unit {
  absl::string_view name;
  double seconds;
};
// From large to small.
constexpr Unit kUnits[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}, {"ms", 0.001}};

absl::Status Invalid() {
  return absl::InvalidArgumentError(
      "is not a valid duration; use one such as 30s, 500ms, 5m, 1h30m or 2d");
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  if (text.empty()) return Invalid();
  double seconds = 0;
  size_t next_unit = 0;  // in kUnits; those before are used up
  while (!text.empty()) {
    size_t digits = 0;
    while (digits < text.size() && (absl::ascii_isdigit(text[digits]) || text[digits] == '.')) {
      ++digits;
    }
    double number;
    if (digits == 0 || !absl::SimpleAtod(text.substr(0, digits), &number)) return Invalid();
    text.remove_prefix(digits);
    size_t letters = 0;
    while (letters < text.size() && absl::ascii_isalpha(text[letters])) ++letters;
    const absl::string_view name = text.substr(0, letters);
    text.remove_prefix(letters);
    if (name.empty()) {
      // A number alone is in seconds; "1h30" could be meant in two ways.
      if (next_unit != 0 || !text.empty()) return Invalid();
      seconds = number;
      break;
    }
    size_t unit = next_unit;
    while (unit < std::size(kUnits) && kUnits[unit].name != name) ++unit;
    if (unit == std::size(kUnits)) return Invalid();
    seconds += number * kUnits[unit].seconds;
    next_unit = unit + 1;
  }
  if (!std::isfinite(seconds) || seconds > absl::ToDoubleSeconds(kMaxDuration)) {
    return absl::InvalidArgumentError("is too long; the longest duration is 3652500d");
  }
  // Durations are given to the millisecond at the finest; microseconds keep 0.1 + 0.2 from showing.
  const double whole = std::floor(seconds);
  return absl::Seconds(static_cast<int64_t>(whole)) +
         absl::Microseconds(std::llround((seconds - whole) * 1e6));
}

std::string FormatSetting(absl::Duration duration) {
  if (duration <= absl::ZeroDuration()) return "0s";
  const absl::Duration whole = absl::Trunc(duration, absl::Minutes(1));
  const absl::Duration rest = duration - whole;
  std::string text;
  int64_t seconds = absl::ToInt64Seconds(whole);
  for (const Unit& unit : kUnits) {
    const auto length = static_cast<int64_t>(unit.seconds);
    if (length < 60) break;
    if (seconds >= length) absl::StrAppend(&text, seconds / length, unit.name);
    seconds %= length;
  }
  if (rest == absl::ZeroDuration()) return text;
  const bool fine = whole == absl::ZeroDuration() && rest < absl::Seconds(1);
  std::string number = absl::StrFormat("%.6f", absl::ToDoubleSeconds(rest) * (fine ? 1e3 : 1));
  number.erase(number.find_last_not_of('0') + 1);
  if (number.back() == '.') number.pop_back();
  return absl::StrCat(text, number, fine ? "ms" : "s");
}

std::string FormatElapsed(absl::Duration duration) {
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

}  // namespace kartograph
