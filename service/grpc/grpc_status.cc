#include "service/grpc/grpc_status.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "service/convert.h"
#include "service/grpc/rpc_status.pb.h"
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

// The problems once more, as a google.rpc.Status.
std::string DetailsOf(const absl::Status& status, const v1::Problems& problems) {
  google::rpc::BadRequest request;
  for (const v1::Problem& problem : problems.problems()) {
    google::rpc::BadRequest::FieldViolation& violation = *request.add_field_violations();
    violation.set_field(problem.field());
    violation.set_description(problem.message());
  }
  google::rpc::Status message;
  message.set_code(static_cast<int>(status.code()));
  message.set_message(
      absl::StrCat(problems.total(), problems.total() == 1 ? " problem" : " problems"));
  message.add_details()->PackFrom(request);
  return message.SerializeAsString();
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase& context) {
  if (status.ok()) return grpc::Status::OK;
  const size_t limit = MetadataLimit(context) - kReserve;
  const v1::Problems problems = ProblemsMessage(status, limit / 4);
  size_t left = limit;
  std::string details;
  if (problems.total() > 0) {
    const std::string serialized = problems.SerializeAsString();
    context.AddTrailingMetadata(kProblemsHeader, serialized);
    details = DetailsOf(status, problems);
    // Headers count in base64.
    left -= std::min(left, (serialized.size() + details.size()) * 4 / 3 + 128);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      CutMessage(ValidUtf8(status.message()), left), details);
}

}  // namespace kartograph::service
