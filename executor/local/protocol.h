// The agent's protocol: versions, framing, the socket, and the values of cluster.h as messages.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_PROTOCOL_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_PROTOCOL_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "executor/cluster.h"
#include "executor/local/agent.pb.h"
#include "executor/runner/sandbox.h"

namespace kartograph::executor::local {

inline constexpr int kProtocolVersion = 1;
inline constexpr int kOldestProtocolVersion = 1;
// A longer message is not the protocol.
inline constexpr uint32_t kMaxFrameBytes = 256 << 20;

// Appends the message with its length.
void AppendFrame(const google::protobuf::MessageLite& message, std::string* out);

// Collects bytes and gives out messages.
class FrameReader {
 public:
  // Reads what is there without waiting, up to about a megabyte. False when the other side has
  // closed or failed.
  bool ReadFrom(int socket);
  // Whether a whole message was there; then it is in `message`. InvalidArgument where it is not
  // one.
  absl::StatusOr<bool> Next(google::protobuf::MessageLite* message);

 private:
  std::string buffer_;
  size_t begin_ = 0;  // of what was not given out
};

// Sends from the front of `out` what the socket takes without waiting, and removes it. False when
// the other side is gone.
bool SendSome(int socket, std::string* out);

// `<state_dir>/agent.sock`, of any length. Listen replaces a socket that was left there.
absl::StatusOr<Descriptor> Listen(const std::string& state_dir);
absl::StatusOr<Descriptor> Connect(const std::string& state_dir);
void RemoveSocket(const std::string& state_dir);

std::string SandboxRoot(const std::string& state_dir);

void ToMessage(const planner::ResourceVector& resources,
               google::protobuf::RepeatedPtrField<Quantity>* message);
// InvalidArgument for a name that is none.
absl::StatusOr<planner::ResourceVector> FromMessage(
    const google::protobuf::RepeatedPtrField<Quantity>& message);
// The message takes the strings of the launch.
void ToMessage(executor::Launch launch, Launch* message);
// The launch takes the strings of the message.
absl::StatusOr<executor::Launch> FromMessage(Launch* message);
void ToMessage(const AttemptUpdate& update, Update* message);
AttemptUpdate FromMessage(Update* message);

}  // namespace kartograph::executor::local

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_PROTOCOL_H_
