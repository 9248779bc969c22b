// A session with an endpoint of Mesos's v1 HTTP API, scheduler's or executor's: the stream of
// events that SUBSCRIBE opens, and the calls beside it.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_API_SESSION_H_
#define KARTOGRAPH_EXECUTOR_MESOS_API_SESSION_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "executor/mesos/endpoint.h"

namespace boost::asio {
class io_context;
namespace ssl {
class context;
}
}  // namespace boost::asio

namespace kartograph::executor::mesos {

// Why a session ended, or could not be opened.
struct SessionEnd {
  enum class Kind {
    kUnreachable,    // no connection, or none that answers
    kRedirected,     // another one leads: `location`
    kNotServing,     // 503: there is no leader yet, or it is not ready
    kNotAuthorized,  // 401 or 403
    kRefused,        // a status that the protocol does not have; the message has its text
    kLost,           // the connection ended, cleanly or not
    kBroken,         // what came violates the protocol
  };
  Kind kind = Kind::kLost;
  std::string message;   // one line, for people, with the endpoint in it
  std::string location;  // a URL, perhaps without scheme ("//host:port")
};

// Bound to the thread that runs the io_context. Events come in order; calls are sent in order, many
// at once on a connection of their own, and carry the stream's id (Mesos-Stream-Id).
class ApiSession {
 public:
  struct Options {
    Endpoint endpoint;
    std::string authorization;                           // the header's value; empty: none
    boost::asio::ssl::context* tls_context = nullptr;    // needed for a TLS endpoint; outlives this
    absl::Duration connect_timeout = absl::Seconds(10);  // until the answer to SUBSCRIBE begins
    // Of calls that wait to be sent. Beyond it the session ends (kLost): the other side takes none.
    size_t max_unsent_bytes = 256 << 20;
  };
  struct Handlers {
    // One record of the stream: a serialized Event.
    std::function<void(absl::string_view record)> on_record;
    // Once; nothing comes after it, and calls without an answer get none.
    std::function<void(const SessionEnd& end)> on_end;
  };
  // `subscribe` is a serialized Call. No handler runs before the return; handlers may destroy the
  // session.
  static std::unique_ptr<ApiSession> Open(boost::asio::io_context& io, Options options,
                                          std::string subscribe, Handlers handlers);
  // Closes the connections; no handler runs any more.
  virtual ~ApiSession() = default;

  // Sends a serialized Call, once the stream is open. `done` may be null; it gets Ok for an
  // accepted call, InvalidArgument with the other side's text for a refused one. It is not called
  // when the session ends first.
  virtual void Call(std::string call, std::function<void(const absl::Status&)> done) = 0;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_API_SESSION_H_
