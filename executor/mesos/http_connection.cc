#include "executor/mesos/http_connection.h"

#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/span_body.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::executor::mesos {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

void AppendRequest(const RequestHeader& header, absl::string_view body, std::string* bytes) {
  using Body = beast::http::span_body<const char>;
  beast::http::request<Body> request(header);
  request.body() = {body.data(), body.size()};
  request.prepare_payload();
  beast::http::request_serializer<Body> serializer(request);
  beast::error_code error;
  while (!error && !serializer.is_done()) {
    serializer.next(error, [&](beast::error_code&, const auto& buffers) {
      for (const asio::const_buffer& buffer : beast::buffers_range_ref(buffers)) {
        bytes->append(static_cast<const char*>(buffer.data()), buffer.size());
      }
      serializer.consume(beast::buffer_bytes(buffers));
    });
  }
}

HttpConnection::HttpConnection(asio::io_context& io, asio::ssl::context* tls_context) : io_(io) {
  if (tls_context != nullptr) {
    tls_.emplace(beast::tcp_stream(io), *tls_context);
  } else {
    plain_.emplace(io);
  }
}

absl::Status HttpConnection::ToStatus(const Error& error, absl::string_view what) const {
  if (!error) return absl::OkStatus();
  const std::string message = absl::StrCat(address_, ": ", what, ": ", error.message());
  if (error == beast::error::timeout) return absl::DeadlineExceededError(message);
  return absl::UnavailableError(message);
}

asio::awaitable<absl::Status> HttpConnection::Connect(std::string host, uint16_t port) {
  address_ = absl::StrCat(host, ":", port);
  std::vector<tcp::endpoint> endpoints;
  Error error;
  // Most clusters use addresses, which need no resolver.
  if (const asio::ip::address numeric = asio::ip::make_address(host, error); !error) {
    endpoints.emplace_back(numeric, port);
  } else {
    tcp::resolver resolver(io_);
    auto [failed, found] =
        co_await resolver.async_resolve(host, std::to_string(port), kAwaitResult);
    if (failed) co_return ToStatus(failed, "the host's address cannot be found");
    for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  }
  auto [failed, endpoint] = co_await tcp().async_connect(endpoints, kAwaitResult);
  if (failed) co_return ToStatus(failed, "no connection");
  tcp().socket().set_option(tcp::no_delay(true), error);
  tcp().socket().set_option(asio::socket_base::keep_alive(true), error);
  if (!tls_) co_return absl::OkStatus();
  SSL_set_tlsext_host_name(tls_->native_handle(), host.c_str());
  tls_->set_verify_callback(asio::ssl::host_name_verification(host), error);
  auto [refused] = co_await tls_->async_handshake(asio::ssl::stream_base::client, kAwaitResult);
  co_return ToStatus(refused, "no TLS");
}

asio::awaitable<absl::Status> HttpConnection::Write(absl::string_view bytes) {
  const asio::const_buffer buffer(bytes.data(), bytes.size());
  Error error;
  if (tls_) {
    error = std::get<0>(co_await asio::async_write(*tls_, buffer, kAwaitResult));
  } else {
    error = std::get<0>(co_await asio::async_write(*plain_, buffer, kAwaitResult));
  }
  co_return ToStatus(error, "cannot be written to");
}

void HttpConnection::SetTimeout(absl::Duration timeout) {
  if (timeout == absl::InfiniteDuration()) {
    tcp().expires_never();
  } else {
    tcp().expires_after(absl::ToChronoNanoseconds(timeout));
  }
}

bool HttpConnection::IsOpen() {
  if (!tcp().socket().is_open()) return false;
  // Nothing is expected: what can be read is its end.
  char byte;
  return buffer_.size() == 0 &&
         recv(tcp().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

void HttpConnection::Close() {
  Error ignored;
  tcp().socket().close(ignored);
}

}  // namespace kartograph::executor::mesos
