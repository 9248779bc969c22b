#include "tests/mesos/settings.h"

#include <algorithm>

namespace kartograph::stand_in {

absl::Duration Latency::Percentile(double of_one) const {
  if (microseconds_.empty()) return absl::ZeroDuration();
  std::sort(microseconds_.begin(), microseconds_.end());
  const size_t last = microseconds_.size() - 1;
  return absl::Microseconds(microseconds_[static_cast<size_t>(of_one * static_cast<double>(last))]);
}

}  // namespace kartograph::stand_in
