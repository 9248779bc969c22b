#include "executor/mesos/framework/operator_api.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "executor/mesos/http_connection.h"

namespace kartograph::executor::mesos {

namespace http = boost::beast::http;

namespace {

// A larger answer is not to anything that we asked.
constexpr uint64_t kMaxAnswer = 64 << 20;

}  // namespace

boost::asio::awaitable<absl::StatusOr<std::string>> OperatorApi::Post(Endpoint to,
                                                                      std::string body) {
  HttpConnection connection(io_, to.tls ? options_.tls_context : nullptr);
  connection.SetTimeout(options_.timeout);
  absl::Status status = co_await connection.Connect(to.host, to.port);
  if (!status.ok()) co_return status;
  RequestHeader header;
  header.version(11);
  header.method(http::verb::post);
  header.target(to.target);
  header.set(http::field::host, absl::StrCat(to.host, ":", to.port));
  header.set(http::field::connection, "close");
  header.set(http::field::content_type, "application/x-protobuf");
  header.set(http::field::accept, "application/x-protobuf");
  if (!authorization_.empty()) {
    header.set(http::field::authorization, authorization_);
  }
  std::string request;
  AppendRequest(header, body, &request);
  status = co_await connection.Write(request);
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxAnswer);
  if (status.ok()) status = co_await connection.Read(parser);
  if (!status.ok()) co_return absl::UnavailableError(status.message());
  const auto& answer = parser.get();
  if (answer.result() == http::status::ok) co_return std::move(parser.get().body());
  const std::string said = absl::StrCat(to.ToString(), " answers ", answer.result_int(), " ",
                                        std::string(http::obsolete_reason(answer.result())), ": ",
                                        answer.body().substr(0, 500));
  if (answer.result() == http::status::not_found) co_return absl::NotFoundError(said);
  if (answer.result() == http::status::unauthorized && options_.renew_authorization) {
    // For the next request.
    authorization_ = options_.renew_authorization();
  }
  if (answer.result() == http::status::unauthorized || answer.result() == http::status::forbidden) {
    co_return absl::PermissionDeniedError(said);
  }
  co_return absl::UnavailableError(said);
}

}  // namespace kartograph::executor::mesos
