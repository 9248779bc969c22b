#include "service/grpc/grpc_status.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "service/convert.h"
#include "service/messages.h"

namespace kartograph::service {
namespace {

constexpr size_t kDefaultLimit = 8 << 10;
constexpr size_t kMaxLimit = 1 << 20;
// For the other headers of an answer.
constexpr size_t kReserve = 512;

size_t MetadataLimit(const grpc::ServerContextBase& context) {
  const auto found = context.client_metadata().find(kMetadataLimitHeader);
  size_t limit = kDefaultLimit;
  if (found != context.client_metadata().end()) {
    const absl::string_view text(found->second.data(), found->second.size());
    if (!absl::SimpleAtoi(text, &limit)) limit = kDefaultLimit;
  }
  return std::clamp(limit, kDefaultLimit, kMaxLimit);
}

// gRPC percent-encodes the message; whole characters that fit into `max_bytes` of that are kept.
std::string CutMessage(absl::string_view message, size_t max_bytes) {
  size_t encoded = 0;
  for (size_t i = 0; i < message.size(); ++i) {
    const auto c = static_cast<unsigned char>(message[i]);
    encoded += absl::ascii_isprint(c) && c != '%' ? 1 : 3;
    if (encoded <= max_bytes) continue;
    while (i > 0 && (static_cast<unsigned char>(message[i]) & 0xC0) == 0x80) --i;
    return absl::StrCat(message.substr(0, i), "...");
  }
  return std::string(message);
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase& context) {
  if (status.ok()) return grpc::Status::OK;
  const size_t limit = MetadataLimit(context) - kReserve;
  const v1::Problems problems = ProblemsMessage(status, limit / 2);
  size_t left = limit;
  if (problems.total() > 0) {
    std::string serialized = problems.SerializeAsString();
    // The header counts in base64.
    left -= std::min(left, serialized.size() * 4 / 3 + 64);
    context.AddTrailingMetadata(kProblemsHeader, serialized);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      CutMessage(ValidUtf8(status.message()), left));
}

}  // namespace kartograph::service
