#include "service/request_digest.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstring>

namespace kartograph::service {

RequestDigest::RequestDigest() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
}

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
  EVP_DigestUpdate(context_.get(), bytes_.data(), bytes_.size());
}

uint64_t RequestDigest::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE] = {};
  EVP_DigestFinal_ex(context_.get(), digest, nullptr);
  uint64_t number;
  static_assert(sizeof(number) <= 32);
  std::memcpy(&number, digest, sizeof(number));
  return number == 0 ? 1 : number;
}

}  // namespace kartograph::service
