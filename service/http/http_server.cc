#include "service/http/http_server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/url.hpp>
#include <cerrno>
#include <functional>
#include <list>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/http/http_session.h"

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

namespace net = boost::asio;
using tcp = net::ip::tcp;
using boost::system::error_code;

class HttpServerImpl final : public HttpServer {
 public:
  HttpServerImpl(HttpServerOptions options, HttpHandler handler) {
    shared_.options = std::move(options);
    shared_.handler = std::move(handler);
    shared_.mailbox = std::make_shared<HttpMailbox>(&context_);
  }
  ~HttpServerImpl() override { Stop(); }

  absl::Status Listen() {
    const Address& address = shared_.options.address;
    if (shared_.options.tls) {
      if (absl::Status status = UseTls(*shared_.options.tls); !status.ok()) return status;
    }
    error_code error;
    tcp::resolver resolver(context_);
    const auto found =
        resolver.resolve(address.host, absl::StrCat(address.port), tcp::resolver::passive, error);
    // Where any port will do, one that is free on the first address may not be on the next.
    int tries = address.port == 0 ? 10 : 1;
    while (!error && tries-- > 0) {
      error = ListenOnAll(found);
      if (error != net::error::address_in_use || tries == 0) break;
      error.clear();
    }
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen for HTTP on ", address.ToString(), ": ", error.message(),
                       "; choose another with --http HOST:PORT (port 0 picks a free port)"));
    }
    for (Listener& listener : listeners_) Accept(listener);
    thread_ = std::thread([this] { context_.run(); });
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  void Stop() override {
    if (!thread_.joinable()) return;
    net::post(context_, [this] {
      error_code ignored;
      for (Listener& listener : listeners_) {
        listener.acceptor.close(ignored);
        listener.retry.cancel();
      }
      // Each takes itself out of the set.
      while (!shared_.sessions.empty()) (*shared_.sessions.begin())->Close();
      context_.stop();
    });
    shared_.mailbox->Close();
    thread_.join();
  }

 private:
  // One address to listen on.
  struct Listener {
    explicit Listener(net::io_context& context) : acceptor(context), retry(context) {}
    tcp::acceptor acceptor;
    net::steady_timer retry;
  };

  // As "localhost" may mean 127.0.0.1 and ::1. Addresses that this host does not have, such as
  // those of IPv6 where that is off, are left out unless they are all.
  error_code ListenOnAll(const tcp::resolver::results_type& found) {
    listeners_.clear();
    port_ = 0;
    error_code unavailable;
    for (const auto& entry : found) {
      tcp::endpoint endpoint = entry.endpoint();
      if (port_ != 0) endpoint.port(static_cast<uint16_t>(port_));
      // A hosts file may have an address twice.
      if (std::any_of(listeners_.begin(), listeners_.end(), [&](const Listener& listener) {
            return listener.acceptor.local_endpoint() == endpoint;
          })) {
        continue;
      }
      Listener& listener = listeners_.emplace_back(context_);
      const error_code error = ListenOn(endpoint, listener.acceptor);
      if (!error) {
        port_ = listener.acceptor.local_endpoint().port();
        continue;
      }
      listeners_.pop_back();
      if (error != net::error::address_family_not_supported &&
          error != error_code(EADDRNOTAVAIL, boost::system::system_category())) {
        return error;
      }
      unavailable = error;
    }
    return listeners_.empty() ? unavailable : error_code();
  }

  static error_code ListenOn(const tcp::endpoint& endpoint, tcp::acceptor& acceptor) {
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(net::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(net::socket_base::max_listen_connections, error);
    return error;
  }

  absl::Status UseTls(const Tls& tls) {
    tls_.emplace(net::ssl::context::tls_server);
    error_code error;
    tls_->set_options(net::ssl::context::default_workarounds | net::ssl::context::no_tlsv1 |
                          net::ssl::context::no_tlsv1_1,
                      error);
    if (!error) tls_->use_certificate_chain(net::buffer(tls.certificates), error);
    if (!error) tls_->use_private_key(net::buffer(tls.key), net::ssl::context::pem, error);
    if (!error) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("cannot use the certificate for HTTP: ", error.message()));
  }

  void Accept(Listener& listener) {
    listener.acceptor.async_accept([this, &listener](error_code error, tcp::socket socket) {
      if (error == net::error::operation_aborted) return;
      if (error) {
        // Out of file descriptors, most likely: trying at once would only spin.
        listener.retry.expires_after(std::chrono::milliseconds(100));
        listener.retry.async_wait([this, &listener](error_code stopped) {
          if (!stopped) Accept(listener);
        });
        return;
      }
      // Over the limit the connection is closed at once, which browsers and scrapers retry.
      if (shared_.sessions.size() < shared_.options.max_connections) {
        error_code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        const auto session =
            HttpSession::Make(std::move(socket), tls_ ? &*tls_ : nullptr, &shared_);
        shared_.sessions.insert(session);
        session->Begin();
      }
      Accept(listener);
    });
  }

  HttpShared shared_;  // outlives the sessions that wait in the context
  std::optional<net::ssl::context> tls_;
  net::io_context context_{1};
  std::list<Listener> listeners_;
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
