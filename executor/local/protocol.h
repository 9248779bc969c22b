// The agent's protocol: versions, framing and the socket.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_PROTOCOL_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_PROTOCOL_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/descriptor.h"
#include "executor/local/agent.pb.h"
#include "planner/instances.h"

namespace kartograph::executor::local {

// Version 2 has pings and lineages, version 3 indexed resources.
inline constexpr int kProtocolVersion = 3;
inline constexpr int kFirstWithPings = 2;
inline constexpr int kFirstWithInstances = 3;
inline constexpr int kOldestProtocolVersion = 1;
// A longer message violates the protocol.
inline constexpr uint32_t kMaxFrameBytes = 256 << 20;

// Appends the message with its length.
void AppendFrame(const google::protobuf::MessageLite& message, std::string* out);

void ToMessage(const planner::InstanceLists& lists, IndexedResources* message);
// InvalidArgument for names that cannot be those of resources and instances.
absl::StatusOr<planner::InstanceLists> FromMessage(const IndexedResources& message);

// Collects bytes and gives out messages.
class FrameReader {
 public:
  // Reads what is there without waiting, up to about a megabyte. False when the other side has
  // closed or failed.
  bool ReadFrom(int socket);
  // Whether a whole message was there; then it is in `message`. InvalidArgument where it is not
  // one.
  absl::StatusOr<bool> Next(google::protobuf::MessageLite* message);
  // In all.
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  std::string buffer_;
  uint64_t bytes_read_ = 0;
  size_t begin_ = 0;  // of what was not given out
};

// Sends from the front of `out` what the socket takes without waiting, and removes it. False when
// the other side is gone.
bool SendSome(int socket, std::string* out);

// `<state_dir>/agent.sock`, of any length. Listen replaces a socket that was left there.
inline constexpr char kSocketName[] = "agent.sock";
absl::StatusOr<Descriptor> Listen(const std::string& state_dir);
absl::StatusOr<Descriptor> Connect(const std::string& state_dir);
void RemoveSocket(const std::string& state_dir);

std::string SandboxRoot(const std::string& state_dir);
// Where the service keeps blobs, each as a file of its id's name.
std::string BlobFolder(const std::string& state_dir);

}  // namespace kartograph::executor::local

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_PROTOCOL_H_
