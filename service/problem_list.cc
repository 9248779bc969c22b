#include "service/problem_list.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace kartograph::service {

constexpr size_t kMaxShownValue = 200;

void ProblemList::Add(std::string field, absl::string_view value, std::string message) {
  if (problems_.size() >= planner::kMaxProblems) {
    problems_.emplace_back();
    return;
  }
  std::string shown = ValidUtf8(value.substr(0, kMaxShownValue));
  for (char& c : shown) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  if (value.size() > kMaxShownValue) absl::StrAppend(&shown, "...");
  problems_.push_back({std::move(field), std::move(shown), std::move(message)});
}

absl::Status ProblemList::ToStatus() const {
  return problems_.empty() ? absl::OkStatus() : planner::ProblemsToStatus(problems_);
}

}  // namespace kartograph::service
