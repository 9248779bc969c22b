#include "base/terminal_text.h"

#include "absl/strings/str_cat.h"

namespace kartograph {

std::string WithoutOverwritten(absl::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    absl::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == absl::string_view::npos ? text.size() : newline + 1);
    while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const size_t start = line.rfind('\r');
    if (start != absl::string_view::npos) line.remove_prefix(start + 1);
    absl::StrAppend(&shown, line, newline == absl::string_view::npos ? "" : "\n");
  }
  return shown;
}

}  // namespace kartograph
