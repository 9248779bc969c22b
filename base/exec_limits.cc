#include "base/exec_limits.h"

#include "absl/strings/str_cat.h"

namespace kartograph {

std::string ExecStringProblem(size_t bytes) {
  if (bytes <= kMaxExecString) return "";
  return absl::StrCat("has ", bytes, " bytes; Linux takes at most ", kMaxExecString,
                      " in one argument or variable: put it into a file");
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
