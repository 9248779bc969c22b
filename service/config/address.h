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
  // Whether only this machine reaches it, as far as the text says.
  bool IsLoopback() const;
};

// InvalidArgument that says what an address looks like. An IPv6 address stands in brackets.
absl::StatusOr<Address> ParseAddress(absl::string_view text);

// Whether it is possible to listen there now. The error is the system's.
absl::Status CheckCanListen(const Address& address);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONFIG_ADDRESS_H_
