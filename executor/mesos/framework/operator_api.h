// One request to the operator API of a master or an agent.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_OPERATOR_API_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_OPERATOR_API_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "executor/mesos/endpoint.h"

namespace kartograph::executor::mesos {

// Bound to the io_context's thread.
class OperatorApi {
 public:
  struct Options {
    std::string authorization;                         // as in ApiSession
    std::function<std::string()> renew_authorization;  // as in Subscription; asked after a 401
    boost::asio::ssl::context* tls_context = nullptr;  // as in ApiSession
    absl::Duration timeout = absl::Seconds(10);        // of each step of an answer
  };
  OperatorApi(boost::asio::io_context& io, Options options)
      : io_(io), options_(std::move(options)), authorization_(options_.authorization) {}

  // Posts a serialized call, on a connection of its own; the answer is serialized, too. Errors are
  // for people: NotFound for what is not there, PermissionDenied where we may not ask (401, 403),
  // Unavailable for everything else.
  boost::asio::awaitable<absl::StatusOr<std::string>> Post(Endpoint to, std::string body);

 private:
  boost::asio::io_context& io_;
  const Options options_;
  std::string authorization_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_OPERATOR_API_H_
