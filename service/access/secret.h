// Random secrets, what is derived from them, and how they are compared.
#ifndef KARTOGRAPH_SERVICE_ACCESS_SECRET_H_
#define KARTOGRAPH_SERVICE_ACCESS_SECRET_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace kartograph::service {

// Random bytes of the system, as twice as many hexadecimal digits.
std::string RandomHex(size_t bytes);

// HMAC-SHA256 as 64 hexadecimal digits: who does not know `key` can neither make it nor learn
// anything of `key` from it.
std::string HmacHex(absl::string_view key, absl::string_view text);

// Takes the same time wherever they differ. Their length is no secret.
bool SameSecret(absl::string_view a, absl::string_view b);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_ACCESS_SECRET_H_
