// What a write says, as a number: a repeated write says the same.
#ifndef KARTOGRAPH_SERVICE_REQUEST_DIGEST_H_
#define KARTOGRAPH_SERVICE_REQUEST_DIGEST_H_

#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <string>

#include "base/sha256.h"

namespace kartograph::service {

// The beginning of a SHA-256 over messages, whatever the order of their maps. Thread-compatible.
class RequestDigest {
 public:
  void Add(const google::protobuf::MessageLite& message);
  // Never 0. Call once.
  uint64_t Finish();

 private:
  Sha256 digest_;
  std::string bytes_;  // of a message, kept to save its allocation
};

// Of a request that comes as one message: of all but its id. 0 where it has none.
template <typename Request>
uint64_t DigestOf(const Request& request) {
  if (request.request_id().empty()) return 0;
  Request content = request;
  content.clear_request_id();
  RequestDigest digest;
  digest.Add(content);
  return digest.Finish();
}

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_REQUEST_DIGEST_H_
