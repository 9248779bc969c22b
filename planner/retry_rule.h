// Which ends of an attempt let its task be tried again.
#ifndef KARTOGRAPH_PLANNER_RETRY_RULE_H_
#define KARTOGRAPH_PLANNER_RETRY_RULE_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "planner/states.h"

namespace kartograph::planner {

// A set of ends, written as words:
//   75, 64-78          these exit statuses, 1 to 255
//   exit               any exit status but 0
//   SIGKILL            ended by this signal
//   signal             ended by any signal that was not ours
//   timeout            over the task's timeout
//   out_of_memory      over the task's declared ram
// A value type.
class FailureSet {
 public:
  // InvalidArgument says what the word should look like.
  absl::Status Add(absl::string_view word);
  bool empty() const { return *this == FailureSet(); }
  bool Contains(Outcome outcome, int exit_status, int signal) const;
  // The fewest words that Add makes the same set of, in a fixed order.
  std::vector<std::string> Words() const;

  bool operator==(const FailureSet&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const FailureSet& s) {
    return H::combine(std::move(h), s.exits_, s.signals_, s.timeout_, s.out_of_memory_);
  }

 private:
  bool HasExit(int status) const { return (exits_[status / 64] >> (status % 64) & 1) != 0; }

  std::array<uint64_t, 4> exits_ = {};  // a bit for each exit status
  uint64_t signals_ = 0;                // the lowest bit: signal 1
  bool timeout_ = false;
  bool out_of_memory_ = false;
};

// Both empty: every failure. A value type.
struct RetryRule {
  FailureSet on;      // only these, unless it is empty
  FailureSet not_on;  // never these

  // Of an attempt that failed.
  bool Allows(Outcome outcome, int exit_status, int signal) const {
    return (on.empty() || on.Contains(outcome, exit_status, signal)) &&
           !not_on.Contains(outcome, exit_status, signal);
  }

  bool operator==(const RetryRule&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const RetryRule& r) {
    return H::combine(std::move(h), r.on, r.not_on);
  }
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_RETRY_RULE_H_
