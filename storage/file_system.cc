#include "storage/file_system.h"

#include <sys/vfs.h>

#include "absl/strings/str_cat.h"

namespace kartograph::storage {
namespace {

struct FileSystem {
  uint32_t type;
  absl::string_view name;
};
// Of linux/magic.h and, what is not in the kernel, of statfs(2) and `stat -f`.
constexpr FileSystem kNetworkFileSystems[] = {
    {0x6969, "NFS"},       {0x517B, "SMB"},        {0xFE534D42, "SMB"},    {0xFF534D42, "CIFS"},
    {0x5346414F, "AFS"},   {0x6B414653, "AFS"},    {0x73757245, "Coda"},   {0x00C36400, "Ceph"},
    {0x01021997, "9p"},    {0x564C, "NCP"},        {0x0BD00BD0, "Lustre"}, {0x47504653, "GPFS"},
    {0xAAD7AAEA, "PanFS"}, {0x19830326, "BeeGFS"}, {0x013111A8, "IBRIX"},
};

}  // namespace

absl::string_view NetworkFileSystemName(int64_t type) {
  for (const FileSystem& known : kNetworkFileSystems) {
    // Some are above 2^31 and come with their sign.
    if (known.type == static_cast<uint32_t>(type)) return known.name;
  }
  return "";
}

absl::Status CheckFileSystem(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : path.substr(0, slash == 0 ? 1 : slash);
  struct statfs info;
  if (statfs(folder.c_str(), &info) != 0) return absl::OkStatus();
  const absl::string_view name = NetworkFileSystemName(info.f_type);
  if (name.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the state folder ", folder, " is on a network file system (", name,
                   "), where the run history cannot be kept safe: give a folder on a local disk "
                   "with --state"));
}

}  // namespace kartograph::storage
