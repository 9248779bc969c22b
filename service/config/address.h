// HOST:PORT as people write it.
#ifndef KARTOGRAPH_SERVICE_CONFIG_ADDRESS_H_
#define KARTOGRAPH_SERVICE_CONFIG_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph::service {

struct Address {
  std::string host;  // without brackets
  uint16_t port = 0;

  // "127.0.0.1:80", "[::1]:80".
  std::string ToString() const;
  // Whether only this machine reaches it: "localhost" or an address of loopback.
  bool IsLoopback() const;
  // Whether the host is an IP address, not a name.
  bool IsIp() const;
  // Whether it stands for all addresses of this machine: 0.0.0.0 or [::].
  bool IsWildcard() const;
};

// What this machine calls itself.
std::string HostName();

// InvalidArgument that says what an address looks like. An IPv6 address stands in brackets.
absl::StatusOr<Address> ParseAddress(absl::string_view text);

// Whether it is possible to listen there now. The error is the system's.
absl::Status CheckCanListen(const Address& address);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONFIG_ADDRESS_H_
