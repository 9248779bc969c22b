#include "planner/labels.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "planner/names.h"

namespace kartograph::planner {
namespace {

size_t Characters(absl::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string LineProblem(absl::string_view text) {
  if (const size_t characters = Characters(text); characters > kMaxLineCharacters) {
    return absl::StrCat("has ", characters, " characters; at most ", kMaxLineCharacters,
                        " are allowed");
  }
  const bool control =
      std::any_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); });
  return control ? "holds a control character; give one line of text" : "";
}

std::string LabelNameProblem(absl::string_view name) {
  if (std::string problem = NameProblem(name); !problem.empty()) return problem;
  if (name.size() <= kMaxLabelName) return "";
  return absl::StrCat("has ", name.size(), " characters; a label's name has at most ",
                      kMaxLabelName);
}

}  // namespace kartograph::planner
