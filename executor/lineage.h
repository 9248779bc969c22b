// Which run history launches and attempts belong to.
#ifndef KARTOGRAPH_EXECUTOR_LINEAGE_H_
#define KARTOGRAPH_EXECUTOR_LINEAGE_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace kartograph::executor {

// One start of a service on its history: a number drawn at random then. 0: not known, as of a
// service that draws none.
using Incarnation = uint64_t;

// A history's identity, and every incarnation of it that it remembers. An older copy of a history
// has its identity but lacks what was drawn since it was made, so that what was launched since can
// be told from what the copy knows. A value type.
struct Lineage {
  std::string history;                    // empty: not known
  std::vector<Incarnation> incarnations;  // oldest first; the last is the current one

  Incarnation current() const { return incarnations.empty() ? 0 : incarnations.back(); }
  // Newest first, as what is asked about is mostly new.
  bool Knows(Incarnation incarnation) const {
    return std::find(incarnations.rbegin(), incarnations.rend(), incarnation) !=
           incarnations.rend();
  }
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_LINEAGE_H_
