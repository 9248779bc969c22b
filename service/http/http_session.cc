#include "service/http/http_session.h"

#include <boost/asio/ssl/stream_base.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <deque>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace kartograph::service {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace net = boost::asio;
namespace ssl = net::ssl;
using tcp = net::ip::tcp;
using boost::system::error_code;

class SessionStream final : public HttpStream {
 public:
  SessionStream(std::weak_ptr<HttpSession> session, std::shared_ptr<HttpMailbox> mailbox)
      : session_(std::move(session)), mailbox_(std::move(mailbox)) {}
  bool Send(std::shared_ptr<const std::string> data) override {
    if (session_.expired()) return false;
    mailbox_->Post([weak = session_, data = std::move(data)] {
      if (const std::shared_ptr<HttpSession> session = weak.lock()) session->SendOnStream(data);
    });
    return true;
  }

 private:
  const std::weak_ptr<HttpSession> session_;
  const std::shared_ptr<HttpMailbox> mailbox_;
};

// `Stream` is one of Beast, with or without TLS.
template <typename Stream>
class SessionOn final : public HttpSession {
 public:
  SessionOn(Stream stream, HttpShared* shared) : stream_(std::move(stream)), shared_(shared) {}

  void Begin() override {
    if constexpr (kEncrypted) {
      Connection().expires_after(absl::ToChronoMilliseconds(shared_->options.request_timeout));
      stream_.async_handshake(ssl::stream_base::server, [self = Self()](error_code error) {
        if (error) return self->Close();
        self->Read();
      });
    } else {
      Read();
    }
  }

  void Close() override {
    if (std::exchange(closed_, true)) return;
    error_code ignored;
    Connection().socket().shutdown(tcp::socket::shutdown_both, ignored);
    Connection().close();
    shared_->sessions.erase(shared_from_this());
  }

  void SendOnStream(std::shared_ptr<const std::string> data) override {
    if (closed_) return;
    queued_bytes_ += data->size();
    // What cannot be sent to a slow client must not pile up: it is dropped and may come again.
    if (queued_bytes_ > shared_->options.max_stream_bytes) {
      Close();
      return;
    }
    queue_.push_back(std::move(data));
    if (queue_.size() == 1) WriteNext();
  }

 private:
  static constexpr bool kEncrypted = !std::is_same_v<Stream, beast::tcp_stream>;

  std::shared_ptr<SessionOn> Self() {
    return std::static_pointer_cast<SessionOn>(shared_from_this());
  }
  // The connection itself, below TLS.
  beast::tcp_stream& Connection() { return beast::get_lowest_layer(stream_); }

  void Read() {
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(shared_->options.max_header_bytes));
    parser_->body_limit(shared_->options.max_body_bytes);
    Connection().expires_after(absl::ToChronoMilliseconds(shared_->options.request_timeout));
    http::async_read(stream_, buffer_, *parser_,
                     [self = Self()](error_code error, size_t) { self->OnRead(error); });
  }

  void OnRead(error_code error) {
    if (error == http::error::header_limit) {
      return Refuse(431, absl::InvalidArgumentError("the request's header is too large"));
    }
    if (error == http::error::body_limit) {
      return Refuse(413, absl::InvalidArgumentError("the request's body is too large"));
    }
    if (error && error.category() == make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      return Refuse(400, absl::InvalidArgumentError(
                             absl::StrCat("this is not an HTTP request: ", error.message())));
    }
    if (error) return Close();
    const http::request<http::string_body>& request = parser_->get();
    version_ = request.version();
    keep_alive_ = request.keep_alive();
    head_ = request.method() == http::verb::head;
    if (!head_ && request.method() != http::verb::get) {
      HttpResponse response = ErrorResponse(
          405, absl::UnimplementedError(
                   "only GET and HEAD are served here; what changes something goes over gRPC"));
      response.headers.emplace_back("Allow", "GET, HEAD");
      return Respond(std::move(response));
    }
    std::optional<HttpRequest> parsed =
        ParseTarget({request.target().data(), request.target().size()});
    if (!parsed) {
      return Respond(ErrorResponse(
          400, absl::InvalidArgumentError("the request's target is not a path and a query")));
    }
    if (request.count(http::field::host) > 1) {
      return Respond(ErrorResponse(
          400, absl::InvalidArgumentError("the request has more than one header Host")));
    }
    parsed->host = std::string(request[http::field::host]);
    parsed->origin = std::string(request[http::field::origin]);
    parsed->authorization = std::string(request[http::field::authorization]);
    parsed->cookie = std::string(request[http::field::cookie]);
    parsed->head = head_;
    Connection().expires_never();
    shared_->handler(*std::move(parsed), [weak = std::weak_ptr<SessionOn>(Self()),
                                          mailbox = shared_->mailbox](HttpResponse response) {
      mailbox->Post([weak, response = std::move(response)]() mutable {
        if (const auto self = weak.lock()) self->Respond(std::move(response));
      });
    });
  }

  void Refuse(int status, const absl::Status& error) {
    version_ = 11;
    keep_alive_ = false;
    head_ = false;
    Respond(ErrorResponse(status, error));
  }

  template <typename Body>
  void FillHeader(const HttpResponse& response, http::response<Body>& message) {
    message.version(version_);
    message.result(static_cast<unsigned>(response.status));
    message.set(http::field::server, "kartographd");
    message.set(http::field::date,
                absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(), absl::UTCTimeZone()));
    message.set(http::field::content_type, response.content_type);
    message.set(http::field::cache_control, "no-cache");
    message.set("X-Content-Type-Options", "nosniff");
    message.set("Content-Security-Policy",
                "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    message.set("Cross-Origin-Resource-Policy", "same-origin");
    message.set("Referrer-Policy", "no-referrer");
    for (const auto& [name, value] : response.headers) message.set(name, value);
    message.keep_alive(keep_alive_);
  }

  void Respond(HttpResponse response) {
    if (closed_) return;
    if (response.on_stream) return RespondWithStream(std::move(response));
    Connection().expires_after(absl::ToChronoMilliseconds(shared_->options.send_timeout));
    if (head_) {
      auto message = std::make_shared<http::response<http::empty_body>>();
      FillHeader(response, *message);
      message->content_length(response.body.size());
      Write(message);
      return;
    }
    auto message = std::make_shared<http::response<http::string_body>>();
    FillHeader(response, *message);
    message->body() = std::move(response.body);
    message->prepare_payload();
    Write(message);
  }

  template <typename Body>
  void Write(std::shared_ptr<http::response<Body>> message) {
    // The serializer of a HEAD's answer must not wait for the body that its length announces.
    auto serializer = std::make_shared<http::response_serializer<Body>>(*message);
    auto done = [self = Self(), message, serializer](error_code error, size_t) {
      if (error || !self->keep_alive_) {
        self->Close();
      } else {
        self->Read();
      }
    };
    if (head_) {
      http::async_write_header(stream_, *serializer, std::move(done));
    } else {
      http::async_write(stream_, *serializer, std::move(done));
    }
  }

  void RespondWithStream(HttpResponse response) {
    keep_alive_ = false;  // the end of the connection is the end of the answer
    Connection().expires_never();
    auto message = std::make_shared<http::response<http::empty_body>>();
    FillHeader(response, *message);
    auto serializer = std::make_shared<http::response_serializer<http::empty_body>>(*message);
    http::async_write_header(
        stream_, *serializer,
        [self = Self(), message, serializer, on_stream = std::move(response.on_stream)](
            error_code error, size_t) {
          if (error || self->head_) return self->Close();
          self->Drain();
          on_stream(std::make_shared<SessionStream>(self, self->shared_->mailbox));
        });
  }

  // Notices that the client has gone.
  void Drain() {
    stream_.async_read_some(net::buffer(ignored_), [self = Self()](error_code error, size_t) {
      if (error) {
        self->Close();
      } else {
        self->Drain();
      }
    });
  }

  void WriteNext() {
    net::async_write(stream_, net::buffer(*queue_.front()),
                     [self = Self()](error_code error, size_t) {
                       if (error) return self->Close();
                       self->queued_bytes_ -= self->queue_.front()->size();
                       self->queue_.pop_front();
                       if (!self->queue_.empty()) self->WriteNext();
                     });
  }

  Stream stream_;
  HttpShared* const shared_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  unsigned version_ = 11;
  bool keep_alive_ = false;
  bool head_ = false;
  bool closed_ = false;
  std::deque<std::shared_ptr<const std::string>> queue_;  // the first is being written
  size_t queued_bytes_ = 0;
  char ignored_[512];
};

}  // namespace

std::shared_ptr<HttpSession> HttpSession::Make(tcp::socket socket, ssl::context* tls,
                                               HttpShared* shared) {
  if (tls == nullptr) {
    return std::make_shared<SessionOn<beast::tcp_stream>>(beast::tcp_stream(std::move(socket)),
                                                          shared);
  }
  using Encrypted = beast::ssl_stream<beast::tcp_stream>;
  return std::make_shared<SessionOn<Encrypted>>(Encrypted(std::move(socket), *tls), shared);
}

}  // namespace kartograph::service
