// Amounts of memory as people write and read them.
#ifndef KARTOGRAPH_BASE_BYTE_SIZE_H_
#define KARTOGRAPH_BASE_BYTE_SIZE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace kartograph {

inline constexpr absl::string_view kByteUnits = "B, kB, MB, GB, TB, KiB, MiB, GiB and TiB";

// How many bytes a unit is, such as 1024 for "KiB"; nothing where it is not one of kByteUnits.
std::optional<int64_t> BytesOfUnit(absl::string_view unit);

// In the largest binary unit that keeps the number at 1 or above, with at most one decimal:
// "1.5GiB", "512MiB", "10B". For what was measured.
std::string FormatBytes(double bytes);

// In the largest binary unit that is exact to three decimals, otherwise without a unit: "1.5GiB",
// "1000". For what was asked for. `thousandths` of a byte.
std::string FormatBytesExactly(int64_t thousandths);

// "4", "0.5", "-1.25": a number of thousandths as the shortest decimal.
std::string FormatThousandths(int64_t thousandths);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_BYTE_SIZE_H_
