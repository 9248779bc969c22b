// An HTTP/1.1 server on an event loop, with what Mesos's API needs: answers that are streams of
// records, and ways to break them.
#ifndef KARTOGRAPH_TESTS_MESOS_HTTP_ENDPOINT_H_
#define KARTOGRAPH_TESTS_MESOS_HTTP_ENDPOINT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/mesos/loop.h"

namespace kartograph::stand_in {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;
  std::string target;                                      // as it came
  std::string path;                                        // decoded
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  HttpHeaders headers;
  std::string body;

  std::optional<std::string> Header(absl::string_view name) const;
  std::optional<std::string> Query(absl::string_view name) const;
  // Fills `path` and `query`; false where the target is none.
  bool ParseTarget();
};

// One connection. Used on the loop's thread. Requests that come while one is answered wait.
class HttpConnection {
 public:
  virtual ~HttpConnection() = default;

  // The answer to the request; once for each.
  virtual void Reply(int status, std::string body = "", HttpHeaders headers = {}) = 0;

  // An answer without an end: records follow. `on_end` is called once when the connection is gone
  // for another reason than EndStream or Close.
  virtual void BeginStream(HttpHeaders headers, std::function<void()> on_end) = 0;
  virtual void SendRecord(absl::string_view record) = 0;
  // The connection ends in the middle of the record.
  virtual void SendHalfRecord(absl::string_view record) = 0;
  // What was sent arrives, then the stream ends as HTTP has it.
  virtual void EndStream() = 0;
  // At once; nothing is called any more.
  virtual void Close() = 0;

  virtual bool open() const = 0;
  // Each byte of a record goes in a chunk of its own.
  virtual void set_byte_chunks(bool value) = 0;
};

using HttpReplier = std::shared_ptr<HttpConnection>;
using HttpHandler = std::function<void(const HttpRequest&, const HttpReplier&)>;

// Used on the loop's thread, but for the constructor and Listen. The loop outlives it.
class HttpEndpoint {
 public:
  HttpEndpoint(Loop& loop, HttpHandler handler);
  ~HttpEndpoint();

  // On 127.0.0.1; port 0 chooses one.
  absl::Status Listen(int port);
  int port() const;
  // Closes the listener and all connections.
  void Close();
  // Before each answer.
  void set_delay(absl::Duration delay);

 private:
  class Server;
  const std::unique_ptr<Server> server_;
};

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_HTTP_ENDPOINT_H_
