// Which causes of lost and refused attempts are written to the log.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_CAUSE_LOG_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_CAUSE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace kartograph::executor::mesos {

// Each cause is written when it occurs first, and then each time it has occurred ten times as
// often: one that ends a thousand attempts makes four lines. Thread-compatible.
class CauseLog {
 public:
  // With more different ones, all begin again.
  static constexpr size_t kMaxCauses = 1000;

  // How often it has occurred, where that is to be written; otherwise 0. Texts that differ only in
  // words with digits, such as ids and amounts, are of one cause.
  int64_t Count(absl::string_view text) {
    std::string cause;
    for (absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" /'"))) {
      bool has_digit = false;
      for (const char c : word) has_digit |= absl::ascii_isdigit(static_cast<unsigned char>(c));
      if (!has_digit) absl::StrAppend(&cause, word, " ");
    }
    if (times_.size() >= kMaxCauses && !times_.contains(cause)) times_.clear();
    const int64_t times = ++times_[cause];
    int64_t power = 1;
    while (power < times) power *= 10;
    return power == times ? times : 0;
  }

 private:
  absl::flat_hash_map<std::string, int64_t> times_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_CAUSE_LOG_H_
