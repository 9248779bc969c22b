// Logs whose middle was cut out: what stands in its place, and where it was.
#ifndef KARTOGRAPH_EXECUTOR_CUT_LOG_H_
#define KARTOGRAPH_EXECUTOR_CUT_LOG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace kartograph::executor {

// What a reader gets instead of that many bytes.
inline std::string CutNotice(int64_t bytes) {
  return absl::StrCat("\n[kartograph: ", bytes,
                      " bytes were cut out here, at the limit of a log]\n");
}

// A file of this name beside a log says what of it was cut out, for readers that cannot see holes:
// offsets of the first byte and of the one after the last, always in as many characters.
inline constexpr char kCutSuffix[] = ".cut";
inline std::string FormatCut(int64_t begin, int64_t end) {
  return absl::StrFormat("%20d %20d\n", begin, end);
}
// Nothing where it is no such text.
inline std::optional<std::pair<int64_t, int64_t>> ParseCut(absl::string_view text) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(absl::StripAsciiWhitespace(text), ' ', absl::SkipEmpty());
  std::pair<int64_t, int64_t> cut;
  if (words.size() != 2 || !absl::SimpleAtoi(words[0], &cut.first) ||
      !absl::SimpleAtoi(words[1], &cut.second) || cut.first < 0 || cut.second <= cut.first) {
    return std::nullopt;
  }
  return cut;
}

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_CUT_LOG_H_
