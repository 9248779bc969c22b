#include "cli/file_problems.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace kartograph::cli {

namespace {

void Keep(Mark mark, std::string field, std::string message, std::vector<FileProblem>* kept,
          size_t* total) {
  ++*total;
  if (kept->size() >= FileProblems::kMaxKept) return;
  kept->push_back({mark, std::move(field), std::move(message)});
}

std::vector<FileProblem> InOrder(std::vector<FileProblem> problems) {
  std::stable_sort(problems.begin(), problems.end(),
                   [](const FileProblem& a, const FileProblem& b) { return a.mark < b.mark; });
  return problems;
}

// `kind`: "" or "warning: "; `more`: what one is that was not kept.
std::string Lines(absl::string_view file, const std::vector<FileProblem>& problems, size_t total,
                  absl::string_view kind, absl::string_view more) {
  std::string text;
  for (const FileProblem& problem : InOrder(problems)) {
    absl::StrAppend(&text, file, ":");
    if (problem.mark.line > 0) {
      absl::StrAppend(&text, problem.mark.line, ":", problem.mark.column, ":");
    }
    absl::StrAppend(&text, " ", kind);
    if (!problem.field.empty()) absl::StrAppend(&text, problem.field, ": ");
    absl::StrAppend(&text, problem.message, "\n");
  }
  if (total > problems.size()) {
    absl::StrAppend(&text, file, ": and ",
                    Count(static_cast<int64_t>(total - problems.size()), more), "\n");
  }
  return text;
}

}  // namespace

void FileProblems::Add(Mark mark, std::string field, std::string message) {
  Keep(mark, std::move(field), std::move(message), &problems_, &total_);
}

void FileProblems::Warn(Mark mark, std::string field, std::string message) {
  Keep(mark, std::move(field), std::move(message), &warnings_, &total_warnings_);
}

std::vector<FileProblem> FileProblems::Sorted() const { return InOrder(problems_); }

std::string FileProblems::ToString(absl::string_view file) const {
  return Lines(file, problems_, total_, "", "more problem");
}

std::string FileProblems::WarningsToString(absl::string_view file) const {
  return Lines(file, warnings_, total_warnings_, "warning: ", "more warning");
}

std::string Quoted(absl::string_view text) {
  constexpr size_t kMax = 60;
  if (text.size() <= kMax) return absl::StrCat("\"", absl::Utf8SafeCEscape(text), "\"");
  size_t end = kMax - 3;
  // Not in the middle of a UTF-8 sequence.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text.substr(0, end)), "...\"");
}

std::string Count(int64_t number, absl::string_view thing) {
  return absl::StrCat(number, " ", thing, number == 1 ? "" : "s");
}

}  // namespace kartograph::cli
