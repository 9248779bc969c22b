// "Did you mean": the known word nearest to a mistyped one.
#ifndef KARTOGRAPH_BASE_SUGGEST_H_
#define KARTOGRAPH_BASE_SUGGEST_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kartograph {

// The number of insertions, deletions, replacements and swaps of neighbours that lead from one
// word to the other, or `limit` + 1 where it is more than `limit`.
int EditDistance(absl::string_view a, absl::string_view b, int limit);

// The nearest of `known`, or an empty view where none is near enough to be meant (a third of the
// word's letters, at least one, at most three). Points into `known`.
absl::string_view Nearest(absl::string_view word, absl::Span<const absl::string_view> known);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_SUGGEST_H_
