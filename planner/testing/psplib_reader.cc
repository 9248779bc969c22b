#include "planner/testing/psplib_reader.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kartograph::planner {
namespace {

// The numbers of a line; nothing where it has a word that is none.
std::vector<int64_t> Numbers(absl::string_view line) {
  std::vector<int64_t> numbers;
  for (absl::string_view word : absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty())) {
    int64_t number;
    if (!absl::SimpleAtoi(word, &number)) return {};
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

absl::StatusOr<Project> ParsePsplib(absl::string_view text) {
  enum class Section { kNone, kPrecedence, kRequests, kCapacities };
  Section section = Section::kNone;
  Project project;
  std::vector<int64_t> demands;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "PRECEDENCE RELATIONS")) section = Section::kPrecedence;
    if (absl::StartsWith(line, "REQUESTS/DURATIONS")) section = Section::kRequests;
    if (absl::StartsWith(line, "RESOURCEAVAILABILITIES")) section = Section::kCapacities;
    const std::vector<int64_t> numbers = Numbers(line);
    if (numbers.empty()) continue;
    if (section == Section::kPrecedence) {  // job, modes, number of successors, successors
      std::vector<TaskIndex> successors;
      for (size_t i = 3; i < numbers.size(); ++i) {
        successors.push_back(static_cast<TaskIndex>(numbers[i] - 1));
      }
      project.successors.Append(successors);
    } else if (section == Section::kRequests && numbers.size() > 3) {  // job, mode, duration, units
      project.durations.push_back(numbers[2]);
      project.demands.insert(project.demands.end(), numbers.begin() + 3, numbers.end());
    } else if (section == Section::kCapacities) {
      project.capacities = numbers;
    }
  }
  if (project.durations.empty()) return absl::InvalidArgumentError("no jobs of an .sm file");
  if (absl::Status status = CheckProject(project); !status.ok()) return status;
  return project;
}

}  // namespace kartograph::planner
