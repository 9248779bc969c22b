#include "executor/mesos/framework/blob_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/descriptor.h"
#include "base/sha256.h"

namespace kartograph::executor::mesos {
namespace {

constexpr int64_t kMaxPart = 1 << 20;

}  // namespace

kartograph::mesos::BlobPart ReadBlobPart(const std::string& folder,
                                         const kartograph::mesos::BlobRequest& request) {
  kartograph::mesos::BlobPart part;
  part.set_blob_id(request.blob_id());
  part.set_offset(request.offset());
  Descriptor file;
  // Nothing else may become a path.
  if (!folder.empty() && IsSha256(request.blob_id())) {
    file.Reset(open(absl::StrCat(folder, "/", request.blob_id()).c_str(),
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  }
  struct stat info = {};
  if (!file.ok() || fstat(file.get(), &info) != 0 || request.offset() < 0 ||
      request.offset() > info.st_size) {
    part.set_not_kept(true);
    return part;
  }
  part.set_size(info.st_size);
  std::string& data = *part.mutable_data();
  data.resize(static_cast<size_t>(std::min(kMaxPart, info.st_size - request.offset())));
  size_t read = 0;
  while (read < data.size()) {
    const ssize_t bytes = pread(file.get(), data.data() + read, data.size() - read,
                                request.offset() + static_cast<int64_t>(read));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) {
      part.clear_data();
      part.set_not_kept(true);
      return part;
    }
    read += static_cast<size_t>(bytes);
  }
  return part;
}

}  // namespace kartograph::executor::mesos
