#include "planner/problems.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kartograph::planner {
namespace {

constexpr char kPayloadUrl[] = "kartograph.problems";
// Separators that no printable text holds; what comes from users is cleaned of them.
constexpr char kField = '\x1f';
constexpr char kRecord = '\x1e';

std::string Clean(std::string text) {
  std::replace(text.begin(), text.end(), kField, ' ');
  std::replace(text.begin(), text.end(), kRecord, ' ');
  return text;
}

}  // namespace

absl::Status ProblemsToStatus(const std::vector<Problem>& problems) {
  const size_t reported = std::min(problems.size(), kMaxProblems);
  std::string message;
  std::string payload = absl::StrCat(problems.size());
  for (size_t i = 0; i < reported; ++i) {
    const Problem& p = problems[i];
    absl::StrAppend(&message, i == 0 ? "" : "\n", p.field, p.value.empty() ? "" : " = ", p.value,
                    ": ", p.message);
    absl::StrAppend(&payload, std::string(1, kRecord), Clean(p.field), std::string(1, kField),
                    Clean(p.value), std::string(1, kField), Clean(p.message));
  }
  if (reported < problems.size()) {
    absl::StrAppend(&message, "\nand ", problems.size() - reported, " more problems");
  }
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kPayloadUrl, absl::Cord(payload));
  return status;
}

std::vector<Problem> ProblemsOf(const absl::Status& status, int* total) {
  std::vector<Problem> problems;
  if (total != nullptr) *total = 0;
  absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload) return problems;
  const std::string text(*payload);
  std::vector<absl::string_view> records = absl::StrSplit(text, kRecord);
  if (total != nullptr && !absl::SimpleAtoi(records[0], total)) *total = 0;
  for (size_t i = 1; i < records.size(); ++i) {
    std::vector<std::string> fields = absl::StrSplit(records[i], kField);
    if (fields.size() == 3) problems.push_back({fields[0], fields[1], fields[2]});
  }
  return problems;
}

}  // namespace kartograph::planner
