#include "executor/reads_values.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

#include "executor/payload.pb.h"

namespace kartograph::executor {

bool ReadsValues(absl::string_view payload) {
  using google::protobuf::internal::WireFormatLite;
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(payload.data()),
                                               static_cast<int>(payload.size()));
  const uint32_t wanted =
      WireFormatLite::MakeTag(Payload::kReadsValuesFieldNumber, WireFormatLite::WIRETYPE_VARINT);
  while (const uint32_t tag = input.ReadTag()) {
    uint64_t value = 0;
    if (tag == wanted) return input.ReadVarint64(&value) && value != 0;
    if (!WireFormatLite::SkipField(&input, tag)) return false;
  }
  return false;
}

}  // namespace kartograph::executor
