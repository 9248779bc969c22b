#include "base/exec_limits.h"

#include "absl/strings/str_cat.h"

namespace kartograph {

std::string ExecStringProblem(size_t bytes) {
  if (bytes <= kMaxExecString) return "";
  return absl::StrCat("has ", bytes, " bytes; Linux takes at most ", kMaxExecString,
                      " in one argument or variable: put it into a file");
}

std::optional<std::string> OptionBeforeFile(absl::string_view word) {
  if (word.size() < 2 || word[0] != '-' || word == "--") return std::nullopt;
  // As shells have -c, and Perl, Ruby and Node -e, together with others.
  const bool several =
      word[1] != '-' && word.size() > 2 && (word.back() == 'c' || word.back() == 'e');
  return several ? std::string(word.substr(0, word.size() - 1)) : "";
}

std::string ExecBytesProblem(size_t bytes) {
  if (bytes <= kMaxExecBytes) return "";
  return absl::StrCat("arguments and variables have ", bytes,
                      " bytes together; Linux takes at most ", kMaxExecBytes,
                      ": put them into a file");
}

std::string PathProblem(size_t bytes) {
  if (bytes <= kMaxPath) return "";
  return absl::StrCat("has ", bytes, " bytes; Linux takes at most ", kMaxPath, " in a path");
}

}  // namespace kartograph
