#include "executor/local/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/base/internal/endian.h"
#include "absl/strings/str_cat.h"

namespace kartograph::executor::local {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMaxReadAtOnce = 1 << 20;

// The path of a socket has 107 bytes at most, that of a folder has not: the folder is opened, and
// the socket named by way of its descriptor.
absl::Status MakeAddress(const std::string& state_dir, Descriptor* folder,
                         struct sockaddr_un* address) {
  folder->Reset(open(state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder->ok()) return ErrnoStatus(errno, absl::StrCat("cannot open the folder ", state_dir));
  *address = {};
  address->sun_family = AF_UNIX;
  std::string path = absl::StrCat("/proc/self/fd/", folder->get(), "/agent.sock");
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
  unlinkat(folder.get(), "agent.sock", 0);
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

void ToMessage(const planner::ResourceVector& resources,
               google::protobuf::RepeatedPtrField<Quantity>* message) {
  for (const auto& [resource, quantity] : resources) {
    Quantity* one = message->Add();
    absl::string_view name = resource.name();
    one->set_resource(name.data(), name.size());
    one->set_milli(quantity.milli());
  }
}

absl::StatusOr<planner::ResourceVector> FromMessage(
    const google::protobuf::RepeatedPtrField<Quantity>& message) {
  planner::ResourceVector resources;
  for (const Quantity& one : message) {
    absl::StatusOr<planner::Resource> resource = planner::Resource::Intern(one.resource());
    if (!resource.ok()) return resource.status();
    resources.Set(*resource, planner::Quantity::FromMilli(one.milli()));
  }
  return resources;
}

void ToMessage(executor::Launch launch, Launch* message) {
  message->set_attempt(launch.attempt.value);
  message->set_task_name(std::move(launch.task_name));
  ToMessage(launch.consumption, message->mutable_consumption());
  message->set_payload(std::move(launch.payload));
  if (launch.timeout != absl::InfiniteDuration()) {
    message->set_timeout_ns(absl::ToInt64Nanoseconds(launch.timeout));
  }
  message->set_cancel_grace_ns(absl::ToInt64Nanoseconds(launch.cancel_grace));
}

absl::StatusOr<executor::Launch> FromMessage(Launch* message) {
  executor::Launch launch;
  launch.attempt.value = message->attempt();
  launch.task_name = std::move(*message->mutable_task_name());
  absl::StatusOr<planner::ResourceVector> consumption = FromMessage(message->consumption());
  if (!consumption.ok()) return consumption.status();
  launch.consumption = *std::move(consumption);
  launch.payload = std::move(*message->mutable_payload());
  if (message->has_timeout_ns()) launch.timeout = absl::Nanoseconds(message->timeout_ns());
  launch.cancel_grace = absl::Nanoseconds(message->cancel_grace_ns());
  return launch;
}

void ToMessage(const AttemptUpdate& update, Update* message) {
  message->set_attempt(update.attempt.value);
  message->set_outcome(static_cast<int>(update.outcome));
  message->set_exit_status(update.exit_status);
  message->set_signal(update.signal);
  message->set_message(update.message);
  if (update.start_time != absl::InfinitePast()) {
    message->set_start_ns(absl::ToUnixNanos(update.start_time));
  }
  if (update.end_time != absl::InfinitePast()) {
    message->set_end_ns(absl::ToUnixNanos(update.end_time));
  }
  message->set_peak_ram_bytes(update.usage.peak_ram_bytes);
  message->set_cpu_ns(absl::ToInt64Nanoseconds(update.usage.cpu_time));
  message->set_wall_ns(absl::ToInt64Nanoseconds(update.usage.wall_time));
  message->set_return_value(update.return_value);
}

AttemptUpdate FromMessage(Update* message) {
  AttemptUpdate update;
  update.attempt.value = message->attempt();
  update.outcome = static_cast<planner::Outcome>(message->outcome());
  update.exit_status = message->exit_status();
  update.signal = message->signal();
  update.message = std::move(*message->mutable_message());
  if (message->has_start_ns()) update.start_time = absl::FromUnixNanos(message->start_ns());
  if (message->has_end_ns()) update.end_time = absl::FromUnixNanos(message->end_ns());
  update.usage.peak_ram_bytes = message->peak_ram_bytes();
  update.usage.cpu_time = absl::Nanoseconds(message->cpu_ns());
  update.usage.wall_time = absl::Nanoseconds(message->wall_ns());
  update.return_value = std::move(*message->mutable_return_value());
  return update;
}

}  // namespace kartograph::executor::local
