#include "base/byte_size.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kartograph {
namespace {

struct Unit {
  absl::string_view name;
  int64_t bytes;
};
// From large to small.
constexpr Unit kBinary[] = {{"TiB", int64_t{1} << 40},
                            {"GiB", int64_t{1} << 30},
                            {"MiB", int64_t{1} << 20},
                            {"KiB", int64_t{1} << 10},
                            {"B", 1}};
constexpr Unit kDecimal[] = {
    {"TB", 1'000'000'000'000}, {"GB", 1'000'000'000}, {"MB", 1'000'000}, {"kB", 1'000}};

}  // namespace

std::optional<int64_t> BytesOfUnit(absl::string_view unit) {
  for (const Unit& known : kBinary) {
    if (known.name == unit) return known.bytes;
  }
  for (const Unit& known : kDecimal) {
    if (known.name == unit) return known.bytes;
  }
  return std::nullopt;
}

std::string FormatBytes(double bytes) {
  for (const Unit& unit : kBinary) {
    // What would read as 1024 of a unit is 1 of the next.
    const double number = bytes / static_cast<double>(unit.bytes);
    if (number < 0.99995 && unit.bytes > 1) continue;
    std::string text = absl::StrFormat("%.1f", number);
    if (absl::EndsWith(text, ".0")) text.resize(text.size() - 2);
    return absl::StrCat(text, unit.name);
  }
  return "0B";
}

std::string FormatBytesExactly(int64_t thousandths) {
  for (const Unit& unit : kBinary) {
    if (unit.bytes > 1 && thousandths / 1000 >= unit.bytes && thousandths % unit.bytes == 0) {
      return absl::StrCat(FormatThousandths(thousandths / unit.bytes), unit.name);
    }
  }
  return FormatThousandths(thousandths);
}

std::string FormatThousandths(int64_t thousandths) {
  const uint64_t magnitude =
      thousandths < 0 ? 0 - static_cast<uint64_t>(thousandths) : static_cast<uint64_t>(thousandths);
  std::string text = absl::StrCat(thousandths < 0 ? "-" : "", magnitude / 1000);
  if (const uint64_t fraction = magnitude % 1000; fraction != 0) {
    std::string digits = absl::StrFormat("%03d", fraction);
    digits.erase(digits.find_last_not_of('0') + 1);
    absl::StrAppend(&text, ".", digits);
  }
  return text;
}

}  // namespace kartograph
