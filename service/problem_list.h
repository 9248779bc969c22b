// What is wrong with a request: all of it is reported at once.
#ifndef KARTOGRAPH_SERVICE_PROBLEM_LIST_H_
#define KARTOGRAPH_SERVICE_PROBLEM_LIST_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "planner/problems.h"

namespace kartograph::service {

// The problems found so far. Thread-compatible.
class ProblemList {
 public:
  // `value` is shortened and made printable.
  void Add(std::string field, absl::string_view value, std::string message);
  bool empty() const { return problems_.empty(); }
  size_t size() const { return problems_.size(); }
  // OK where there are none, InvalidArgument with planner::Problems otherwise.
  absl::Status ToStatus() const;
  const std::vector<planner::Problem>& problems() const { return problems_; }

 private:
  // Those that will not be reported are kept empty: they only count.
  std::vector<planner::Problem> problems_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_PROBLEM_LIST_H_
