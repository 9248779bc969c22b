// A small HTTP/1.1 server for reading: GET and HEAD.
#ifndef KARTOGRAPH_SERVICE_HTTP_HTTP_SERVER_H_
#define KARTOGRAPH_SERVICE_HTTP_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "service/access/tls.h"
#include "service/config/address.h"

namespace kartograph::service {

struct HttpRequest {
  // Headers that say who asks and from where; empty where they are missing.
  std::string host;
  std::string origin;
  std::string authorization;
  std::string cookie;
  bool head = false;  // a HEAD: only the header of the answer is sent
  std::string path;   // percent-decoded, starts with '/'
  // The parts of the path between its slashes, each decoded by itself; a part may hold a slash.
  std::vector<std::string> segments;
  std::vector<std::pair<std::string, std::string>> query;  // decoded
};

// The request of a target such as "/api/graphs?page_size=5"; nullopt where it is not a path and a
// query.
std::optional<HttpRequest> ParseTarget(absl::string_view target);

// A connection on which the server goes on sending. Thread-safe.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  // Queues data for the client. A client that does not read what was sent before is dropped once
  // too much waits. False where the connection is gone.
  virtual bool Send(std::shared_ptr<const std::string> data) = 0;
};

struct HttpResponse {
  int status = 200;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  // Where set, the answer has no end: this is called once with the connection, on the server's
  // thread; it must not block. Not called for HEAD.
  std::function<void(std::shared_ptr<HttpStream>)> on_stream;
};

using HttpReply = std::function<void(HttpResponse)>;
// Called on the server's thread; must not block. Calls the reply once, from any thread.
using HttpHandler = std::function<void(HttpRequest, HttpReply)>;

struct HttpServerOptions {
  Address address{};
  std::optional<Tls> tls{};  // nothing: not encrypted; its client_ca means nothing here
  // For receiving a whole request, and for how long a connection may be idle before one.
  absl::Duration request_timeout = absl::Seconds(60);
  // For sending an answer to a client that reads slowly.
  absl::Duration send_timeout = absl::Seconds(60);
  size_t max_header_bytes = 16 << 10;
  size_t max_body_bytes = 16 << 10;
  size_t max_connections = 1024;
  // What may wait on a stream.
  size_t max_stream_bytes = 8 << 20;
};

// Thread-safe. Owns one thread, on which it does everything but what the handler passes on.
class HttpServer {
 public:
  // Errors say what to do.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(HttpServerOptions options,
                                                           HttpHandler handler);
  virtual ~HttpServer() = default;
  // The one that listens, also where 0 was asked for.
  virtual int port() const = 0;
  // Closes everything; replies that come later are dropped. Idempotent.
  virtual void Stop() = 0;
};

// An error as the HTTP API reports it: {"error": {"code": ..., "message": ..., "problems": [...]}}.
HttpResponse ErrorResponse(const absl::Status& status);
// The same with an HTTP status of its own.
HttpResponse ErrorResponse(int http_status, const absl::Status& status);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_HTTP_SERVER_H_
