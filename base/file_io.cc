#include "base/file_io.h"

#include <errno.h>
#include <unistd.h>

namespace kartograph {

bool WriteAll(int fd, absl::string_view data) {
  while (!data.empty()) {
    const ssize_t bytes = write(fd, data.data(), data.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return false;
    data.remove_prefix(static_cast<size_t>(bytes));
  }
  return true;
}

bool ReadAt(int fd, int64_t offset, size_t max_bytes, std::string* data) {
  data->resize(max_bytes);
  size_t have = 0;
  while (have < max_bytes) {
    const ssize_t bytes =
        pread(fd, data->data() + have, max_bytes - have, offset + static_cast<int64_t>(have));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return false;
    if (bytes == 0) break;
    have += static_cast<size_t>(bytes);
  }
  data->resize(have);
  return true;
}

}  // namespace kartograph
