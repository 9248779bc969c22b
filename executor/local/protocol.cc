#include "executor/local/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/internal/endian.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace kartograph::executor::local {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMaxReadAtOnce = 1 << 20;

// The path of a socket has at most 107 bytes, that of a folder may have more: the folder is opened,
// and the socket named by way of its descriptor.
absl::Status MakeAddress(const std::string& state_dir, Descriptor* folder,
                         struct sockaddr_un* address) {
  folder->Reset(open(state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder->ok()) return ErrnoStatus(errno, absl::StrCat("cannot open the folder ", state_dir));
  *address = {};
  address->sun_family = AF_UNIX;
  std::string path = absl::StrCat("/proc/self/fd/", folder->get(), "/", kSocketName);
  memcpy(address->sun_path, path.c_str(), path.size() + 1);
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> NewSocket() {
  Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "cannot make a socket");
  return fd;
}

}  // namespace

void AppendFrame(const google::protobuf::MessageLite& message, std::string* out) {
  size_t bytes = message.ByteSizeLong();
  size_t at = out->size();
  out->resize(at + 4 + bytes);
  absl::little_endian::Store32(out->data() + at, static_cast<uint32_t>(bytes));
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(out->data() + at + 4));
}

void ToMessage(const planner::InstanceLists& lists, IndexedResources* message) {
  for (const auto& [resource, names] : lists) {
    IndexedResources::Resource* one = message->add_resources();
    one->set_name(std::string(resource.name()));
    one->mutable_instances()->Add(names.begin(), names.end());
  }
}

absl::StatusOr<planner::InstanceLists> FromMessage(const IndexedResources& message) {
  planner::InstanceLists lists;
  for (const IndexedResources::Resource& one : message.resources()) {
    absl::StatusOr<planner::Resource> resource = planner::Resource::Intern(one.name());
    if (!resource.ok()) return resource.status();
    std::vector<std::string> names(one.instances().begin(), one.instances().end());
    if (absl::Status status = planner::CheckInstances(names); !status.ok()) return status;
    lists[*resource] = std::move(names);
  }
  return lists;
}

bool FrameReader::ReadFrom(int socket) {
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  for (size_t taken = 0; taken < kMaxReadAtOnce;) {
    size_t have = buffer_.size();
    buffer_.resize(have + kReadBytes);
    ssize_t bytes = recv(socket, buffer_.data() + have, kReadBytes, MSG_DONTWAIT);
    buffer_.resize(have + static_cast<size_t>(std::max<ssize_t>(bytes, 0)));
    if (bytes == 0) return false;
    if (bytes < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK;
    }
    taken += static_cast<size_t>(bytes);
    bytes_read_ += static_cast<uint64_t>(bytes);
    if (static_cast<size_t>(bytes) < kReadBytes) return true;
  }
  return true;
}

absl::StatusOr<bool> FrameReader::Next(google::protobuf::MessageLite* message) {
  size_t have = buffer_.size() - begin_;
  if (have < 4) return false;
  uint32_t bytes = absl::little_endian::Load32(buffer_.data() + begin_);
  if (bytes > kMaxFrameBytes) return absl::InvalidArgumentError("a message is too long");
  if (have < 4 + size_t{bytes}) return false;
  if (!message->ParseFromArray(buffer_.data() + begin_ + 4, static_cast<int>(bytes))) {
    return absl::InvalidArgumentError("a message cannot be read");
  }
  begin_ += 4 + size_t{bytes};
  return true;
}

bool SendSome(int socket, std::string* out) {
  size_t sent = 0;
  bool alive = true;
  while (sent < out->size()) {
    ssize_t bytes =
        send(socket, out->data() + sent, out->size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (bytes < 0) {
      if (errno == EINTR) continue;
      alive = errno == EAGAIN || errno == EWOULDBLOCK;
      break;
    }
    sent += static_cast<size_t>(bytes);
  }
  out->erase(0, sent);
  return alive;
}

absl::StatusOr<Descriptor> Listen(const std::string& state_dir) {
  Descriptor folder;
  struct sockaddr_un address;
  absl::Status made = MakeAddress(state_dir, &folder, &address);
  if (!made.ok()) return made;
  absl::StatusOr<Descriptor> fd = NewSocket();
  if (!fd.ok()) return fd.status();
  unlinkat(folder.get(), kSocketName, 0);
  // Whoever may connect may run programs as this user.
  mode_t mask = umask(0077);
  int bound = bind(fd->get(), reinterpret_cast<struct sockaddr*>(&address), sizeof(address));
  int error = errno;
  umask(mask);
  if (bound != 0 || listen(fd->get(), 16) != 0) {
    return ErrnoStatus(bound != 0 ? error : errno,
                       absl::StrCat("cannot listen on ", state_dir, "/agent.sock"));
  }
  return fd;
}

absl::StatusOr<Descriptor> Connect(const std::string& state_dir) {
  Descriptor folder;
  struct sockaddr_un address;
  absl::Status made = MakeAddress(state_dir, &folder, &address);
  if (!made.ok()) return made;
  absl::StatusOr<Descriptor> fd = NewSocket();
  if (!fd.ok()) return fd.status();
  if (connect(fd->get(), reinterpret_cast<struct sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot connect to ", state_dir, "/agent.sock"));
  }
  return fd;
}

void RemoveSocket(const std::string& state_dir) {
  unlink(absl::StrCat(state_dir, "/agent.sock").c_str());
}

std::string SandboxRoot(const std::string& state_dir) {
  return absl::StrCat(state_dir, "/sandboxes");
}

std::string BlobFolder(const std::string& state_dir) { return absl::StrCat(state_dir, "/blobs"); }

}  // namespace kartograph::executor::local
