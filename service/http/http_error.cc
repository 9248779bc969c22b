#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "absl/status/status.h"
#include "base/utf8.h"
#include "planner/problems.h"
#include "service/convert.h"
#include "service/http/http_server.h"

namespace kartograph::service {
namespace {

int HttpStatus(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

void Put(google::protobuf::Struct& object, const char* key, absl::string_view value) {
  (*object.mutable_fields())[key].set_string_value(ValidUtf8(value));
}

}  // namespace

HttpResponse ErrorResponse(const absl::Status& status) {
  return ErrorResponse(HttpStatus(status.code()), status);
}

HttpResponse ErrorResponse(int http_status, const absl::Status& status) {
  google::protobuf::Struct document;
  google::protobuf::Struct& error = *(*document.mutable_fields())["error"].mutable_struct_value();
  Put(error, "code", absl::StatusCodeToString(status.code()));
  Put(error, "message", status.message());
  for (const planner::Problem& problem : planner::ProblemsOf(status)) {
    google::protobuf::Struct& entry = *(*error.mutable_fields())["problems"]
                                           .mutable_list_value()
                                           ->add_values()
                                           ->mutable_struct_value();
    Put(entry, "field", problem.field);
    Put(entry, "value", problem.value);
    Put(entry, "message", problem.message);
  }
  HttpResponse response;
  response.status = http_status;
  response.content_type = "application/json";
  // A Struct of valid UTF-8 can always be written.
  (void)google::protobuf::util::MessageToJsonString(document, &response.body);
  return response;
}

}  // namespace kartograph::service
