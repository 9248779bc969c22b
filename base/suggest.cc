#include "base/suggest.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace kartograph {

int EditDistance(absl::string_view a, absl::string_view b, int limit) {
  const int rows = static_cast<int>(a.size());
  const int columns = static_cast<int>(b.size());
  if (std::abs(rows - columns) > limit) return limit + 1;
  std::vector<int> before_last(columns + 1), last(columns + 1), row(columns + 1);
  for (int j = 0; j <= columns; ++j) last[j] = j;
  for (int i = 1; i <= rows; ++i) {
    row[0] = i;
    int best = i;
    for (int j = 1; j <= columns; ++j) {
      int cost = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost = std::min(cost, before_last[j - 2] + 1);
      }
      row[j] = cost;
      best = std::min(best, cost);
    }
    if (best > limit) return limit + 1;
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return std::min(last[columns], limit + 1);
}

absl::string_view Nearest(absl::string_view word, absl::Span<const absl::string_view> known) {
  int limit = std::clamp(static_cast<int>(word.size()) / 3, 1, 3);
  absl::string_view nearest;
  for (absl::string_view candidate : known) {
    const int distance = EditDistance(word, candidate, limit);
    if (distance > limit) continue;
    nearest = candidate;
    if (distance <= 1) break;
    limit = distance - 1;  // the next one must be nearer
  }
  return nearest;
}

}  // namespace kartograph
