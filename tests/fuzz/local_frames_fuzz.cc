// What comes over the local agent's socket, in either direction.
#include <sys/socket.h>

#include <type_traits>

#include "base/descriptor.h"
#include "executor/local/protocol.h"
#include "tests/fuzz/expect.h"

namespace local = kartograph::executor::local;

namespace {

template <typename Message>
void ReadAll(const uint8_t* data, size_t size) {
  int ends[2];
  FUZZ_EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  kartograph::Descriptor near(ends[0]), far(ends[1]);
  FUZZ_EXPECT(send(near.get(), data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size));
  near.Reset();
  local::FrameReader reader;
  // Its end is seen after all that was sent.
  while (reader.ReadFrom(far.get())) {
  }
  for (Message message;;) {
    const absl::StatusOr<bool> got = reader.Next(&message);
    if (!got.ok() || !*got) break;
    std::string out;
    local::AppendFrame(message, &out);
    FUZZ_EXPECT(out.size() >= 4);
    if constexpr (std::is_same_v<Message, local::ToAgent>) {
      const auto lists = local::FromMessage(message.indexed());
      if (!lists.ok()) continue;
      local::IndexedResources again;
      local::ToMessage(*lists, &again);
      FUZZ_EXPECT(local::FromMessage(again).ok());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > (32 << 10)) return 0;
  ReadAll<local::FromAgent>(data, size);
  ReadAll<local::ToAgent>(data, size);
  return 0;
}
