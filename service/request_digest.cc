#include "service/request_digest.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace kartograph::service {

void RequestDigest::Add(const google::protobuf::MessageLite& message) {
  bytes_.clear();
  {
    google::protobuf::io::StringOutputStream stream(&bytes_);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    // The length keeps two messages apart from one that says the same as both.
    out.WriteVarint64(message.ByteSizeLong());
    message.SerializeWithCachedSizes(&out);
  }
  digest_.Add(bytes_);
}

uint64_t RequestDigest::Finish() {
  constexpr size_t kDigits = 2 * sizeof(uint64_t);
  const std::string hex = digest_.Hex();
  uint64_t number = 0;
  const bool read = absl::SimpleHexAtoi(absl::string_view(hex).substr(0, kDigits), &number);
  return read && number != 0 ? number : 1;
}

}  // namespace kartograph::service
