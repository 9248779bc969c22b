#include "service/http/http_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/url.hpp>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"

namespace kartograph::service {

std::optional<HttpRequest> ParseTarget(absl::string_view target) {
  const auto parsed =
      boost::urls::parse_origin_form(boost::core::string_view(target.data(), target.size()));
  if (!parsed) return std::nullopt;
  HttpRequest request;
  for (const auto& segment : parsed->segments()) {
    request.segments.emplace_back(segment.begin(), segment.end());
    absl::StrAppend(&request.path, "/", request.segments.back());
  }
  if (request.path.empty()) request.path = "/";
  for (const auto& param : parsed->params()) {
    request.query.emplace_back(std::string(param.key.begin(), param.key.end()),
                               std::string(param.value.begin(), param.value.end()));
  }
  return request;
}
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace net = boost::asio;
using tcp = net::ip::tcp;
using boost::system::error_code;

class Session;

// The way onto the server's thread for those who may outlive the server. Thread-safe.
class Mailbox {
 public:
  explicit Mailbox(net::io_context* context) : context_(context) {}
  void Post(std::function<void()> job) {
    absl::MutexLock lock(&mutex_);
    if (context_ != nullptr) net::post(*context_, std::move(job));
  }
  // What is posted from here on is dropped.
  void Close() {
    absl::MutexLock lock(&mutex_);
    context_ = nullptr;
  }

 private:
  absl::Mutex mutex_;
  net::io_context* context_ ABSL_GUARDED_BY(mutex_);
};

// What sessions need of their server.
struct Shared {
  HttpServerOptions options;
  HttpHandler handler;
  std::shared_ptr<Mailbox> mailbox;
  std::set<std::shared_ptr<Session>> sessions;  // used on the server's thread
};

// One connection, used and destroyed on the server's thread alone: others hold weak pointers to it.
class Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, Shared* shared) : stream_(std::move(socket)), shared_(shared) {}

  void Read() {
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(shared_->options.max_header_bytes));
    parser_->body_limit(shared_->options.max_body_bytes);
    stream_.expires_after(absl::ToChronoMilliseconds(shared_->options.request_timeout));
    http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, size_t) { self->OnRead(error); });
  }

  void Close() {
    if (std::exchange(closed_, true)) return;
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
    shared_->sessions.erase(shared_from_this());
  }

  void SendOnStream(std::shared_ptr<const std::string> data) {
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
    stream_.expires_never();
    shared_->handler(*std::move(parsed),
                     [weak = weak_from_this(), mailbox = shared_->mailbox](HttpResponse response) {
                       mailbox->Post([weak, response = std::move(response)]() mutable {
                         if (const std::shared_ptr<Session> self = weak.lock())
                           self->Respond(std::move(response));
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
    message.set("Content-Security-Policy", "default-src 'self'");
    for (const auto& [name, value] : response.headers) message.set(name, value);
    message.keep_alive(keep_alive_);
  }

  void Respond(HttpResponse response) {
    if (closed_) return;
    if (response.on_stream) return RespondWithStream(std::move(response));
    stream_.expires_after(absl::ToChronoMilliseconds(shared_->options.send_timeout));
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
    auto done = [self = shared_from_this(), message, serializer](error_code error, size_t) {
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

  void RespondWithStream(HttpResponse response);
  // Notices that the client has gone.
  void Drain() {
    stream_.async_read_some(net::buffer(ignored_),
                            [self = shared_from_this()](error_code error, size_t) {
                              if (error) {
                                self->Close();
                              } else {
                                self->Drain();
                              }
                            });
  }

  void WriteNext() {
    net::async_write(stream_, net::buffer(*queue_.front()),
                     [self = shared_from_this()](error_code error, size_t) {
                       if (error) return self->Close();
                       self->queued_bytes_ -= self->queue_.front()->size();
                       self->queue_.pop_front();
                       if (!self->queue_.empty()) self->WriteNext();
                     });
  }

  beast::tcp_stream stream_;
  Shared* const shared_;
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

class SessionStream final : public HttpStream {
 public:
  SessionStream(std::weak_ptr<Session> session, std::shared_ptr<Mailbox> mailbox)
      : session_(std::move(session)), mailbox_(std::move(mailbox)) {}
  bool Send(std::shared_ptr<const std::string> data) override {
    if (session_.expired()) return false;
    mailbox_->Post([weak = session_, data = std::move(data)] {
      if (const std::shared_ptr<Session> session = weak.lock()) session->SendOnStream(data);
    });
    return true;
  }

 private:
  const std::weak_ptr<Session> session_;
  const std::shared_ptr<Mailbox> mailbox_;
};

void Session::RespondWithStream(HttpResponse response) {
  keep_alive_ = false;  // the end of the connection is the end of the answer
  stream_.expires_never();
  auto message = std::make_shared<http::response<http::empty_body>>();
  FillHeader(response, *message);
  auto serializer = std::make_shared<http::response_serializer<http::empty_body>>(*message);
  http::async_write_header(
      stream_, *serializer,
      [self = shared_from_this(), message, serializer, on_stream = std::move(response.on_stream)](
          error_code error, size_t) {
        if (error || self->head_) return self->Close();
        self->Drain();
        on_stream(std::make_shared<SessionStream>(self, self->shared_->mailbox));
      });
}

class HttpServerImpl final : public HttpServer {
 public:
  HttpServerImpl(HttpServerOptions options, HttpHandler handler)
      : acceptor_(context_), retry_(context_) {
    shared_.options = std::move(options);
    shared_.handler = std::move(handler);
    shared_.mailbox = std::make_shared<Mailbox>(&context_);
  }
  ~HttpServerImpl() override { Stop(); }

  absl::Status Listen() {
    const Address& address = shared_.options.address;
    error_code error;
    tcp::resolver resolver(context_);
    const auto found =
        resolver.resolve(address.host, absl::StrCat(address.port), tcp::resolver::passive, error);
    if (!error) {
      const tcp::endpoint endpoint = found.begin()->endpoint();
      acceptor_.open(endpoint.protocol(), error);
      if (!error) acceptor_.set_option(net::socket_base::reuse_address(true), error);
      if (!error) acceptor_.bind(endpoint, error);
      if (!error) acceptor_.listen(net::socket_base::max_listen_connections, error);
    }
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen for HTTP on ", address.ToString(), ": ", error.message(),
                       "; choose another with --http HOST:PORT (port 0 takes a free one)"));
    }
    port_ = acceptor_.local_endpoint().port();
    Accept();
    thread_ = std::thread([this] { context_.run(); });
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  void Stop() override {
    if (!thread_.joinable()) return;
    net::post(context_, [this] {
      error_code ignored;
      acceptor_.close(ignored);
      retry_.cancel();
      // Each takes itself out of the set.
      while (!shared_.sessions.empty()) (*shared_.sessions.begin())->Close();
      context_.stop();
    });
    shared_.mailbox->Close();
    thread_.join();
  }

 private:
  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (error == net::error::operation_aborted) return;
      if (error) {
        // Out of file descriptors, most likely: trying at once would only spin.
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this](error_code stopped) {
          if (!stopped) Accept();
        });
        return;
      }
      // Over the limit the connection is closed at once, which browsers and scrapers retry.
      if (shared_.sessions.size() < shared_.options.max_connections) {
        error_code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        (*shared_.sessions.insert(std::make_shared<Session>(std::move(socket), &shared_)).first)
            ->Read();
      }
      Accept();
    });
  }

  Shared shared_;  // outlives the sessions that wait in the context
  net::io_context context_{1};
  tcp::acceptor acceptor_;
  net::steady_timer retry_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options,
                                                              HttpHandler handler) {
  auto server = std::make_unique<HttpServerImpl>(std::move(options), std::move(handler));
  if (absl::Status status = server->Listen(); !status.ok()) return status;
  return server;
}

}  // namespace kartograph::service
