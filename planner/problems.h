// What is wrong with something a user gave us: every problem at once, each with its place.
#ifndef KARTOGRAPH_PLANNER_PROBLEMS_H_
#define KARTOGRAPH_PLANNER_PROBLEMS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace kartograph::planner {

struct Problem {
  std::string field;    // such as tasks["decode"].after
  std::string value;    // what was there
  std::string message;  // what is wrong and what would be right
  bool operator==(const Problem&) const = default;
};

// At most this many are reported; the rest are counted.
inline constexpr size_t kMaxProblems = 100;

// InvalidArgument whose message has all problems as text, and from which ProblemsOf gets them back.
// `problems` is not empty.
absl::Status ProblemsToStatus(const std::vector<Problem>& problems);
// The problems a status carries (at most kMaxProblems) and, through `total`, how many there were.
// Empty where it carries none.
std::vector<Problem> ProblemsOf(const absl::Status& status, int* total = nullptr);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_PROBLEMS_H_
