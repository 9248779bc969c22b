// Recorded workflows in WfFormat, with runtimes that are scaled.
#include <optional>
#include <string>

#include "base/utf8.h"
#include "cli/graph_file.h"
#include "tests/fuzz/expect.h"

using kartograph::cli::FileProblems;
using kartograph::cli::GraphFile;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > (64 << 10)) return 0;
  FileProblems problems;
  kartograph::cli::GraphFileOptions options;
  options.scale = 0.001;
  const std::optional<GraphFile> file = kartograph::cli::ParseGraphFile(
      std::string(kartograph::InputText(data, size)), options, &problems);
  if (!file) {
    FUZZ_EXPECT(!problems.empty());
    return 0;
  }
  kartograph::v1::TaskSpec task;
  for (size_t i = 0; i < file->tasks->size(); ++i) {
    file->tasks->Read(i, &task);
    // What protobuf would refuse to send or to read.
    FUZZ_EXPECT(kartograph::IsValidUtf8(task.name()));
    FUZZ_EXPECT(kartograph::IsValidUtf8(task.command().shell()));
    kartograph::v1::TaskSpec again;
    FUZZ_EXPECT(again.ParseFromString(task.SerializeAsString()));
  }
  return 0;
}
