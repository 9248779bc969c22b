// kartographd's --config.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "service/config/config.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > (64 << 10)) return 0;
  const int file = memfd_create("settings", MFD_CLOEXEC);
  FUZZ_EXPECT(file >= 0);
  FUZZ_EXPECT(write(file, data, size) == static_cast<ssize_t>(size));
  const auto parsed = kartograph::service::ParseCommandLine(
      {"--state", "/tmp/state", "--config", absl::StrCat("/proc/self/fd/", file)});
  close(file);
  if (!parsed.ok()) {
    FUZZ_EXPECT(!parsed.status().message().empty());
  } else {
    FUZZ_EXPECT(!parsed->config.resources.HasNegative());
    FUZZ_EXPECT(!parsed->config.pools.HasNegative());
  }
  return 0;
}
