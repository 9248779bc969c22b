// The framing of Mesos's streams: what comes out must not depend on how the bytes were cut. The
// first byte says how.
#include <string>
#include <vector>

#include "executor/mesos/record_io.h"
#include "tests/fuzz/expect.h"

using kartograph::executor::mesos::RecordReader;

namespace {

constexpr size_t kMaxBytes = 1 << 16;

struct Read {
  std::vector<std::string> records;
  bool ok = true;
  bool operator==(const Read&) const = default;
};

Read ReadInPieces(absl::string_view stream, size_t piece) {
  Read read;
  RecordReader reader(kMaxBytes);
  while (!stream.empty() && read.ok) {
    reader.Append(stream.substr(0, piece));
    stream.remove_prefix(std::min(piece, stream.size()));
    for (std::string record;;) {
      const absl::StatusOr<bool> got = reader.Next(&record);
      read.ok = got.ok();
      if (!got.ok() || !*got) break;
      FUZZ_EXPECT(record.size() <= kMaxBytes);
      read.records.push_back(record);
    }
  }
  return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const absl::string_view stream = kartograph::InputText(data + 1, size - 1);
  const Read whole = ReadInPieces(stream, stream.size());
  FUZZ_EXPECT(ReadInPieces(stream, 1 + data[0] % 16) == whole);
  std::string again;
  for (const std::string& record : whole.records) {
    again += kartograph::executor::mesos::EncodeRecord(record);
  }
  FUZZ_EXPECT(ReadInPieces(again, 7).records == whole.records);
  return 0;
}
