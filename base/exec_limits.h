// What Linux can hand to a new program, so that what never can be is refused before it is tried.
#ifndef KARTOGRAPH_BASE_EXEC_LIMITS_H_
#define KARTOGRAPH_BASE_EXEC_LIMITS_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace kartograph {

// The longest argument, or variable as NAME=value: MAX_ARG_STRLEN of <linux/binfmts.h>, which is 32
// pages of 4 KiB, without the NUL that ends it.
inline constexpr size_t kMaxExecString = (128 << 10) - 1;
// All arguments and variables together: a quarter of the usual stack of 8 MiB (execve(2), "Limits
// on size of arguments and environment"). Each counts with its NUL and its pointer.
inline constexpr size_t kMaxExecBytes = 2 << 20;
inline constexpr size_t kExecStringOverhead = 1 + sizeof(char*);
// The longest path that a system call takes: PATH_MAX of <linux/limits.h>, without its NUL.
inline constexpr size_t kMaxPath = 4095;

// Empty where an argument or variable of so many bytes can be handed over; otherwise what is wrong,
// to be put after its name: "has 200000 bytes; ...".
std::string ExecStringProblem(size_t bytes);
// What becomes of the option before a text, such as -c or -euc, where a file's name stands in the
// place of a text that is too long: "", to leave it out, or the other options in it: "-eu". Nothing
// where the word is no option, so that nobody knows what to do with a file.
std::optional<std::string> OptionBeforeFile(absl::string_view word);
// The same as ExecStringProblem for all together, overhead included.
std::string ExecBytesProblem(size_t bytes);
// The same for a path.
std::string PathProblem(size_t bytes);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_EXEC_LIMITS_H_
