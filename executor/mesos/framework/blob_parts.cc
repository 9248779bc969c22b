#include "executor/mesos/framework/blob_parts.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/descriptor.h"
#include "base/file_io.h"
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
  const auto bytes = static_cast<size_t>(std::min(kMaxPart, info.st_size - request.offset()));
  if (!ReadAt(file.get(), request.offset(), bytes, part.mutable_data()) ||
      part.data().size() < bytes) {
    part.clear_data();
    part.set_not_kept(true);
  }
  return part;
}

}  // namespace kartograph::executor::mesos
