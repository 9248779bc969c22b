#include "cli/file_problems.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace kartograph::cli {

void FileProblems::Add(Mark mark, std::string field, std::string message) {
  ++total_;
  if (problems_.size() < kMaxKept) {
    problems_.push_back({mark, std::move(field), std::move(message)});
  }
}

std::vector<FileProblem> FileProblems::Sorted() const {
  std::vector<FileProblem> sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const FileProblem& a, const FileProblem& b) { return a.mark < b.mark; });
  return sorted;
}

std::string FileProblems::ToString(absl::string_view file) const {
  std::string text;
  for (const FileProblem& problem : Sorted()) {
    absl::StrAppend(&text, file, ":");
    if (problem.mark.line > 0) {
      absl::StrAppend(&text, problem.mark.line, ":", problem.mark.column, ":");
    }
    if (!problem.field.empty()) absl::StrAppend(&text, " ", problem.field, ":");
    absl::StrAppend(&text, " ", problem.message, "\n");
  }
  if (total_ > problems_.size()) {
    absl::StrAppend(&text, file, ": and ", total_ - problems_.size(), " more problems\n");
  }
  return text;
}

std::string Quoted(absl::string_view text) {
  constexpr size_t kMax = 60;
  if (text.size() <= kMax) return absl::StrCat("\"", absl::Utf8SafeCEscape(text), "\"");
  size_t end = kMax - 3;
  // Not in the middle of a UTF-8 sequence.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text.substr(0, end)), "...\"");
}

}  // namespace kartograph::cli
