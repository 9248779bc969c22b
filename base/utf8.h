// Text that is for people and may hold anything.
#ifndef KARTOGRAPH_BASE_UTF8_H_
#define KARTOGRAPH_BASE_UTF8_H_

#include <string>

#include "absl/strings/string_view.h"

namespace kartograph {

// Whether it is well-formed UTF-8: no overlong forms, surrogates, or code points over U+10FFFF
// (RFC 3629).
bool IsValidUtf8(absl::string_view text);

// The text with U+FFFD in place of each byte that belongs to no well-formed character. Protobuf
// refuses a message whose `string` holds anything else, so what the system, a task or a peer gave
// (paths, error messages) goes through this where it becomes such a string.
std::string ValidUtf8(absl::string_view text);

// The first `max_bytes` bytes at most, cut between characters. `text` is well-formed.
absl::string_view TruncateUtf8(absl::string_view text, size_t max_bytes);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_UTF8_H_
