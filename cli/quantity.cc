#include "cli/quantity.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/file_problems.h"

namespace kartograph::cli {
namespace {

constexpr double kMaxQuantity = 1e15;

struct Unit {
  absl::string_view name;
  double factor;
};
constexpr Unit kUnits[] = {
    {"B", 1},
    {"kB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"TB", 1e12},
    {"KiB", 1024.0},
    {"MiB", 1024.0 * 1024},
    {"GiB", 1024.0 * 1024 * 1024},
    {"TiB", 1024.0 * 1024 * 1024 * 1024},
};
constexpr absl::string_view kKnownUnits = "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB";

}  // namespace

absl::StatusOr<double> ParseQuantity(absl::string_view resource, absl::string_view text) {
  const absl::string_view stripped = absl::StripAsciiWhitespace(text);
  size_t end = 0;
  while (end < stripped.size() && (absl::ascii_isdigit(stripped[end]) || stripped[end] == '.' ||
                                   stripped[end] == '+' || stripped[end] == '-' ||
                                   // An exponent, which a unit cannot begin with.
                                   ((stripped[end] == 'e' || stripped[end] == 'E') && end > 0 &&
                                    end + 1 < stripped.size()))) {
    ++end;
  }
  double number;
  // Only digits are let through to SimpleAtod, which would also read "inf" and "nan".
  if (end == 0 || !absl::SimpleAtod(stripped.substr(0, end), &number)) {
    return absl::InvalidArgumentError(absl::StrCat(
        Quoted(text), " is not a quantity; right would be a number such as 4, 0.5 or 512MiB"));
  }
  const absl::string_view unit = absl::StripAsciiWhitespace(stripped.substr(end));
  if (!unit.empty()) {
    const Unit* known = nullptr;
    for (const Unit& candidate : kUnits) {
      if (candidate.name == unit) known = &candidate;
    }
    if (known == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(text), " has an unknown unit; known are ", kKnownUnits));
    }
    if (resource == "cpu") {
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(text), " has a unit of bytes; cpu is a number of cores"));
    }
    number *= known->factor;
  }
  if (number < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is negative; a quantity is 0 or more"));
  }
  if (!std::isfinite(number) || number > kMaxQuantity) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is too large; a quantity is at most 10^15"));
  }
  return number;
}

std::string ResourceNameProblem(absl::string_view name) {
  bool good = !name.empty() && name.size() <= 64 && absl::ascii_isalpha(name[0]);
  for (char c : name) good &= absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
  if (good) return "";
  return absl::StrCat(Quoted(name),
                      " cannot name a resource; a name is 1 to 64 letters, digits, '_', '-' and "
                      "'.', and starts with a letter");
}

std::string FormatBytes(double bytes) {
  static constexpr absl::string_view kBinary[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (unit + 1 < std::size(kBinary) && bytes >= 1024) {
    bytes /= 1024;
    ++unit;
  }
  std::string number = absl::StrFormat("%.1f", bytes);
  if (absl::EndsWith(number, ".0")) number.resize(number.size() - 2);
  return absl::StrCat(number, kBinary[unit]);
}

std::string FormatQuantity(absl::string_view resource, double quantity) {
  if (resource == "ram" || resource == "disk") return FormatBytes(quantity);
  std::string number = absl::StrFormat("%.3f", quantity);
  while (number.back() == '0') number.pop_back();
  if (number.back() == '.') number.pop_back();
  return number;
}

}  // namespace kartograph::cli
