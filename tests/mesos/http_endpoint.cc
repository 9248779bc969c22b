#include "tests/mesos/http_endpoint.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/url.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "executor/mesos/record_io.h"

namespace kartograph::stand_in {
namespace {

namespace http = boost::beast::http;
namespace net = boost::asio;
using tcp = net::ip::tcp;
using boost::system::error_code;

constexpr uint64_t kMaxBody = 256 << 20;

class Connection;

// What connections need of their endpoint.
struct Shared {
  Loop& loop;
  HttpHandler handler;
  std::set<std::shared_ptr<Connection>> connections;
  absl::Duration delay;
};

class Connection final : public HttpConnection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Shared* shared) : socket_(std::move(socket)), shared_(shared) {}

  void Start() {
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    ExpectRequest();
    Read();
  }

  void Reply(int status, std::string body, HttpHeaders headers) override {
    if (!open_) return;
    if (shared_->delay <= absl::ZeroDuration()) return ReplyNow(status, body, headers);
    shared_->loop.After(shared_->delay, [self = shared_from_this(), status, body = std::move(body),
                                         headers = std::move(headers)] {
      if (self->open_) self->ReplyNow(status, body, headers);
    });
  }

  void BeginStream(HttpHeaders headers, std::function<void()> on_end) override {
    if (!open_) return;
    streams_ = true;
    on_end_ = std::move(on_end);
    Send(Head(200, "Transfer-Encoding: chunked", headers));
    Read();
  }

  void SendRecord(absl::string_view record) override {
    const std::string encoded = executor::mesos::EncodeRecord(record);
    if (!byte_chunks_) return SendChunk(encoded);
    for (size_t i = 0; i < encoded.size(); ++i) {
      SendChunk(absl::string_view(encoded).substr(i, 1));
    }
  }

  void SendHalfRecord(absl::string_view record) override {
    const std::string encoded = executor::mesos::EncodeRecord(record);
    on_end_ = nullptr;
    close_after_write_ = true;
    SendChunk(absl::string_view(encoded).substr(0, encoded.size() / 2));
  }

  void EndStream() override {
    on_end_ = nullptr;
    close_after_write_ = true;
    Send("0\r\n\r\n");
  }

  void Close() override {
    if (!std::exchange(open_, false)) return;
    on_end_ = nullptr;
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
    std::exchange(shared_, nullptr)->connections.erase(shared_from_this());
  }

  bool open() const override { return open_; }
  void set_byte_chunks(bool value) override { byte_chunks_ = value; }

  void OnLost() {
    const std::function<void()> on_end = std::move(on_end_);
    Close();
    if (on_end) on_end();
  }

 private:
  void ExpectRequest() {
    parser_.emplace();
    parser_->eager(true);
    parser_->body_limit(kMaxBody);
  }

  void Read() {
    if (reading_ || !open_) return;
    reading_ = true;
    socket_.async_read_some(buffer_.prepare(64 << 10),
                            [self = shared_from_this()](error_code error, size_t bytes) {
                              self->reading_ = false;
                              if (!self->open_) return;
                              if (error) return self->OnLost();
                              self->buffer_.commit(bytes);
                              self->Parse();
                            });
  }

  void Parse() {
    if (parsing_) return;
    parsing_ = true;
    while (open_ && !answering_ && buffer_.size() > 0) {
      error_code error;
      buffer_.consume(parser_->put(buffer_.data(), error));
      if (error == http::error::need_more) break;
      if (!error && !parser_->is_done()) continue;
      answering_ = true;
      if (error) {
        keep_alive_ = false;
        Reply(400, "not an HTTP request", {});
      } else {
        Handle();
      }
    }
    parsing_ = false;
    // Behind an answer that is still to come nothing is read, so that a client cannot fill the
    // memory; but the end of a stream's client must be seen.
    if (streams_) buffer_.consume(buffer_.size());
    if (!answering_ || streams_) Read();
  }

  void Handle() {
    auto message = parser_->release();
    ExpectRequest();
    keep_alive_ = message.keep_alive();
    HttpRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.body = std::move(message.body());
    for (const auto& field : message) {
      request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    if (!request.ParseTarget()) return Reply(400, "the target is not a path and a query", {});
    shared_->handler(request, shared_from_this());
  }

  static std::string Head(int status, absl::string_view length, const HttpHeaders& headers) {
    std::string head =
        absl::StrCat("HTTP/1.1 ", status, " ",
                     std::string(http::obsolete_reason(static_cast<http::status>(status))), "\r\n",
                     length, "\r\n");
    for (const auto& [name, value] : headers) absl::StrAppend(&head, name, ": ", value, "\r\n");
    return head + "\r\n";
  }

  void ReplyNow(int status, const std::string& body, HttpHeaders headers) {
    if (!keep_alive_) headers.emplace_back("Connection", "close");
    close_after_write_ = !keep_alive_;
    answering_ = !keep_alive_;
    Send(Head(status, absl::StrCat("Content-Length: ", body.size()), headers) + body);
    if (open_) Parse();
  }

  void SendChunk(absl::string_view data) {
    Send(absl::StrCat(absl::Hex(data.size()), "\r\n", data, "\r\n"));
  }

  void Send(absl::string_view data) {
    if (!open_) return;
    absl::StrAppend(&pending_, data);
    Write();
  }

  void Write() {
    if (!open_ || !writing_.empty()) return;
    if (pending_.empty()) {
      if (close_after_write_) Close();
      return;
    }
    std::swap(pending_, writing_);
    net::async_write(socket_, net::buffer(writing_),
                     [self = shared_from_this()](error_code error, size_t) {
                       self->writing_.clear();
                       if (!self->open_) return;
                       if (error) return self->OnLost();
                       self->Write();
                     });
  }

  tcp::socket socket_;
  Shared* shared_;  // null once closed
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::function<void()> on_end_;
  std::string pending_, writing_;
  bool open_ = true;
  bool reading_ = false;
  bool parsing_ = false;
  bool answering_ = false;  // a request is being answered, or a stream stands
  bool streams_ = false;
  bool keep_alive_ = true;
  bool byte_chunks_ = false;
  bool close_after_write_ = false;
};

}  // namespace

bool HttpRequest::ParseTarget() {
  const auto parsed = boost::urls::parse_origin_form(target);
  if (!parsed) return false;
  for (const auto& segment : parsed->segments()) {
    absl::StrAppend(&path, "/", std::string(segment.begin(), segment.end()));
  }
  if (path.empty()) path = "/";
  for (const auto& param : parsed->params()) {
    query.emplace_back(std::string(param.key.begin(), param.key.end()),
                       std::string(param.value.begin(), param.value.end()));
  }
  return true;
}

std::optional<std::string> HttpRequest::Header(absl::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (absl::EqualsIgnoreCase(key, name)) return value;
  }
  return std::nullopt;
}

std::optional<std::string> HttpRequest::Query(absl::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

class HttpEndpoint::Server {
 public:
  Server(Loop& loop, HttpHandler handler)
      : shared_{loop, std::move(handler), {}, {}}, acceptor_(loop.io()) {}

  absl::Status Listen(int port) {
    error_code error;
    const tcp::endpoint address(net::ip::address_v4::loopback(), static_cast<uint16_t>(port));
    acceptor_.open(address.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(address, error);
    if (!error) acceptor_.listen(net::socket_base::max_listen_connections, error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on 127.0.0.1:", port, ": ", error.message()));
    }
    port_ = acceptor_.local_endpoint(error).port();
    Accept();
    return absl::OkStatus();
  }

  void Close() {
    error_code ignored;
    acceptor_.close(ignored);
    const std::set<std::shared_ptr<Connection>> connections = shared_.connections;
    for (const std::shared_ptr<Connection>& connection : connections) connection->OnLost();
  }

  int port() const { return port_; }
  void set_delay(absl::Duration delay) { shared_.delay = delay; }

 private:
  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (error == net::error::operation_aborted || !acceptor_.is_open()) return;
      if (!error) {
        auto connection = std::make_shared<Connection>(std::move(socket), &shared_);
        shared_.connections.insert(connection);
        connection->Start();
      }
      Accept();
    });
  }

  Shared shared_;
  tcp::acceptor acceptor_;
  int port_ = 0;
};

HttpEndpoint::HttpEndpoint(Loop& loop, HttpHandler handler)
    : server_(std::make_unique<Server>(loop, std::move(handler))) {}

HttpEndpoint::~HttpEndpoint() { Close(); }

absl::Status HttpEndpoint::Listen(int port) { return server_->Listen(port); }

int HttpEndpoint::port() const { return server_->port(); }

void HttpEndpoint::Close() { server_->Close(); }

void HttpEndpoint::set_delay(absl::Duration delay) { server_->set_delay(delay); }

}  // namespace kartograph::stand_in
