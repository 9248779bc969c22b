// One HTTP/1.1 connection of a client, plain or TLS, as coroutines.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_HTTP_CONNECTION_H_
#define KARTOGRAPH_EXECUTOR_MESOS_HTTP_CONNECTION_H_

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kartograph::executor::mesos {

// No exception leaves a coroutine of ours: errors are values.
inline constexpr auto kAwaitResult =
    boost::asio::as_tuple(boost::asio::use_awaitable_t<boost::asio::any_io_executor>{});

using RequestHeader = boost::beast::http::request_header<>;

// The request as it is sent, with the length of its body, appended to `bytes`: several requests may
// go in one write.
void AppendRequest(const RequestHeader& header, absl::string_view body, std::string* bytes);

// Bound to the io_context's thread. One read and one write at a time. Each wait takes at most what
// SetTimeout was given last; what takes longer fails with DeadlineExceeded.
class HttpConnection {
 public:
  using Error = boost::beast::error_code;

  // `tls_context` may be null: a plain connection; otherwise it outlives this.
  HttpConnection(boost::asio::io_context& io, boost::asio::ssl::context* tls_context);

  // Errors are Unavailable and name the address.
  boost::asio::awaitable<absl::Status> Connect(std::string host, uint16_t port);
  boost::asio::awaitable<absl::Status> Write(absl::string_view bytes);
  // Reads the head of an answer.
  template <typename Parser>
  boost::asio::awaitable<absl::Status> ReadHeader(Parser& parser) {
    Error error;
    if (tls_) {
      error = std::get<0>(
          co_await boost::beast::http::async_read_header(*tls_, buffer_, parser, kAwaitResult));
    } else {
      error = std::get<0>(
          co_await boost::beast::http::async_read_header(*plain_, buffer_, parser, kAwaitResult));
    }
    co_return ToStatus(error, "no answer");
  }
  // Reads a whole answer, or what is left of it.
  template <typename Parser>
  boost::asio::awaitable<absl::Status> Read(Parser& parser) {
    Error error;
    if (tls_) {
      error = std::get<0>(
          co_await boost::beast::http::async_read(*tls_, buffer_, parser, kAwaitResult));
    } else {
      error = std::get<0>(
          co_await boost::beast::http::async_read(*plain_, buffer_, parser, kAwaitResult));
    }
    co_return ToStatus(error, "no answer");
  }
  // Reads some of a body: waits until there is something, and takes all of it that has come, in
  // however many chunks.
  template <typename Parser>
  boost::asio::awaitable<Error> ReadSome(Parser& parser) {
    Error error;
    if (tls_) {
      error = std::get<0>(
          co_await boost::beast::http::async_read_some(*tls_, buffer_, parser, kAwaitResult));
    } else {
      error = std::get<0>(
          co_await boost::beast::http::async_read_some(*plain_, buffer_, parser, kAwaitResult));
    }
    while (!error && buffer_.size() > 0 && !parser.is_done()) {
      buffer_.consume(parser.put(buffer_.data(), error));
      if (error == boost::beast::http::error::need_more) co_return Error();
    }
    co_return error;
  }

  // Applies from now on; InfiniteDuration: none.
  void SetTimeout(absl::Duration timeout);
  // Whether it can still be used, as far as can be seen: a server closes what is idle for long.
  bool IsOpen();
  // Pending operations fail.
  void Close();

 private:
  boost::beast::tcp_stream& tcp() { return tls_ ? boost::beast::get_lowest_layer(*tls_) : *plain_; }
  absl::Status ToStatus(const Error& error, absl::string_view what) const;

  boost::asio::io_context& io_;
  std::optional<boost::beast::tcp_stream> plain_;
  std::optional<boost::beast::ssl_stream<boost::beast::tcp_stream>> tls_;
  boost::beast::flat_buffer buffer_;
  std::string address_;  // "host:port"
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_HTTP_CONNECTION_H_
