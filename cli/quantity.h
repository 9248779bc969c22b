// Quantities of resources as people write and read them.
#ifndef KARTOGRAPH_CLI_QUANTITY_H_
#define KARTOGRAPH_CLI_QUANTITY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph::cli {

// A number, not negative and at most 10^15, with an optional unit of bytes (B, kB, MB, GB, TB, KiB,
// MiB, GiB, TiB), as in "4", "0.5", "512MiB", "1.5 GB". InvalidArgument, whose message quotes the
// text and says what would be right; `resource` "cpu" takes no unit.
absl::StatusOr<double> ParseQuantity(absl::string_view resource, absl::string_view text);

// Empty where `name` can name a resource, otherwise what is wrong with it.
std::string ResourceNameProblem(absl::string_view name);

// "4", "0.5"; for ram "512MiB".
std::string FormatQuantity(absl::string_view resource, double quantity);
// Bytes in the largest binary unit that keeps the number at 1 or above, with at most one decimal.
std::string FormatBytes(double bytes);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_QUANTITY_H_
