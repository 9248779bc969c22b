// How values are written into columns.
#ifndef KARTOGRAPH_STORAGE_ENCODING_H_
#define KARTOGRAPH_STORAGE_ENCODING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "planner/constraints.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "planner/retry_rule.h"
#include "planner/spread.h"
#include "storage/records.h"

namespace kartograph::storage {

// Microseconds, rounded down; the infinite ones are the largest and the smallest number.
inline int64_t EncodeTime(absl::Time time) { return absl::ToUnixMicros(time); }
absl::Time DecodeTime(int64_t micros);
inline int64_t EncodeDuration(absl::Duration duration) {
  return absl::ToInt64Microseconds(duration);
}
absl::Duration DecodeDuration(int64_t micros);

// {"cpu":1,"ram":536870912,"share":0.125}: exact, in order of interning.
std::string EncodeConsumption(const planner::ResourceVector& consumption);
// DataLoss for what EncodeConsumption does not write.
absl::StatusOr<planner::ResourceVector> DecodeConsumption(absl::string_view json);

// 75,SIGKILL;timeout: the words of `on`, then those of `not_on`.
std::string EncodeRetryRule(const planner::RetryRule& rule);
// DataLoss for what EncodeRetryRule does not write.
absl::StatusOr<planner::RetryRule> DecodeRetryRule(absl::string_view text);
// "equals 7261636b 6233;!one_of 7a6f6e65 6133,6234": operators, and attributes and values as
// hexadecimal digits; `!` for one that is negated. Empty: none.
std::string EncodeConstraints(const planner::Constraints& constraints);
// DataLoss for what EncodeConstraints does not write.
absl::StatusOr<planner::Constraints> DecodeConstraints(absl::string_view text);
// "2 workers"; empty: none.
std::string EncodeSpread(const planner::Spread& spread);
// DataLoss for what EncodeSpread does not write.
absl::StatusOr<planner::Spread> DecodeSpread(absl::string_view text);

// [["6b6579","76616c7565"]]: names and values in hexadecimal digits, as SQLite's hex() has them in
// lower case.
std::string EncodeLabels(const Labels& labels);

// [0,17,4]. Overwrites `json`.
void EncodeIndexes(absl::Span<const planner::TaskIndex> indexes, std::string& json);
// Overwrites `indexes`. DataLoss for what EncodeIndexes does not write.
absl::Status DecodeIndexes(absl::string_view json, std::vector<planner::TaskIndex>& indexes);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_ENCODING_H_
