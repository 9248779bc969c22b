// A short name for some content.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_DIGEST_H_
#define KARTOGRAPH_EXECUTOR_MESOS_DIGEST_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace kartograph::executor::mesos {

// 16 hexadecimal digits, the same in every build and process, which a hash table's function is not;
// no protection against deliberate collisions. FNV-1a, 64 bits.
inline std::string Digest(absl::string_view content) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : content) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return absl::StrFormat("%016x", hash);
}

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_DIGEST_H_
