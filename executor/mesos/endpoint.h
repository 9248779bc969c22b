// Where an HTTP API of Mesos answers, as it is written in addresses and redirects.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_ENDPOINT_H_
#define KARTOGRAPH_EXECUTOR_MESOS_ENDPOINT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph::executor::mesos {

struct HostPort {
  std::string host;  // a name or an address; IPv6 without brackets
  uint16_t port = 0;

  std::string ToString() const;  // "host:port", "[::1]:port"
  bool operator==(const HostPort&) const = default;
};

// `default_port` where there is none; IPv6 needs its brackets. InvalidArgument says what is wrong
// with the text.
absl::StatusOr<HostPort> ParseHostPort(absl::string_view text, uint16_t default_port);

struct Endpoint {
  bool tls = false;
  std::string host;  // a name or an address; IPv6 without brackets
  uint16_t port = 0;
  std::string target;  // such as "/api/v1/scheduler"

  std::string ToString() const;  // "http://host:port/target"
  bool operator==(const Endpoint&) const = default;
};

// Where the Location header of an answer of `from` leads: "//host:port", as Mesos writes it, a
// whole URL, or a path. Without a scheme it is that of `from`, without a path the target too.
// InvalidArgument for what is none of these.
absl::StatusOr<Endpoint> ParseRedirect(absl::string_view location, const Endpoint& from);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_ENDPOINT_H_
