// Reading and writing on descriptors, whole.
#ifndef KARTOGRAPH_BASE_FILE_IO_H_
#define KARTOGRAPH_BASE_FILE_IO_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace kartograph {

// Writes all of it, in as many calls as that takes. False, with errno set, where it could not; a
// part may have been written.
bool WriteAll(int fd, absl::string_view data);

// Reads from a file's `offset` on: `max_bytes`, or what there is until its end. False, with errno
// set, where that could not be read.
bool ReadAt(int fd, int64_t offset, size_t max_bytes, std::string* data);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_FILE_IO_H_
