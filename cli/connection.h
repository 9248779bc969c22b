// How the command line finds its service: from options, the environment or the state folder.
#ifndef KARTOGRAPH_CLI_CONNECTION_H_
#define KARTOGRAPH_CLI_CONNECTION_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/client.h"

namespace kartograph::cli {

// As given; empty where not.
struct ConnectionArguments {
  std::string state{};
  std::string server{};
  std::string token_file{};
  std::string tls_ca{};
  std::string tls_cert{};
  std::string tls_key{};
};

// Address, token and TLS of the service. What is not given comes from the environment, where
// `variable` gives the value of a name, empty where it has none; without an address it is the
// socket of a state folder, where no token is needed. A state folder's token is never sent to an
// address on its own: while the service is down, anybody may listen there. InvalidArgument, saying
// what would be right, where a file cannot be read or options contradict each other.
absl::StatusOr<ClientOptions> FindService(ConnectionArguments arguments,
                                          const std::function<std::string(const char*)>& variable);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_CONNECTION_H_
