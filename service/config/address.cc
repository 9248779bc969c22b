#include "service/config/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kartograph::service {
namespace {

constexpr size_t kFirstOfV4 = 12;  // where in an IPv6 address an IPv4 address stands

// An IPv4 address as an IPv6 one; nothing where it is a name.
std::optional<in6_addr> IpOf(const std::string& host) {
  in6_addr ip = {};
  if (inet_pton(AF_INET6, host.c_str(), &ip) == 1) return ip;
  if (inet_pton(AF_INET, host.c_str(), &ip.s6_addr[kFirstOfV4]) != 1) return std::nullopt;
  ip.s6_addr[10] = ip.s6_addr[11] = 0xff;
  return ip;
}

}  // namespace

std::string Address::ToString() const {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

bool Address::IsLoopback() const {
  const std::optional<in6_addr> ip = IpOf(host);
  return host == "localhost" ||
         (ip && (IN6_IS_ADDR_LOOPBACK(&*ip) ||
                 (IN6_IS_ADDR_V4MAPPED(&*ip) && ip->s6_addr[kFirstOfV4] == 127)));
}

bool Address::IsIp() const { return IpOf(host).has_value(); }

bool Address::IsWildcard() const {
  const std::optional<in6_addr> ip = IpOf(host);
  return ip && (IN6_IS_ADDR_UNSPECIFIED(&*ip) ||
                (IN6_IS_ADDR_V4MAPPED(&*ip) && ip->s6_addr32[kFirstOfV4 / 4] == 0));
}

std::string HostName() {
  char name[256] = "localhost";
  gethostname(name, sizeof(name) - 1);
  return name;
}

absl::StatusOr<Address> ParseAddress(absl::string_view text) {
  const absl::Status wrong = absl::InvalidArgumentError(
      "must be HOST:PORT, such as 127.0.0.1:50061 or [::1]:0; port 0 picks a free port");
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return wrong;
  absl::string_view host = text.substr(0, colon);
  const absl::string_view port = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (absl::StrContains(host, ':')) {
    return wrong;  // an IPv6 address without brackets
  }
  if (host.empty() || port.empty() || port.size() > 5) return wrong;
  for (char c : host) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c)) ||
        absl::string_view("[]/@?#%").find(c) != absl::string_view::npos) {
      return wrong;
    }
  }
  for (char c : port) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return wrong;
  }
  uint32_t number = 0;
  if (!absl::SimpleAtoi(port, &number) || number > 65535) return wrong;
  return Address{std::string(host), static_cast<uint16_t>(number)};
}

absl::Status CheckCanListen(const Address& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (code != 0) return absl::UnavailableError(gai_strerror(code));
  absl::Status status;
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  // As the servers do: what an earlier one has left in TIME_WAIT is no obstacle.
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1) != 0) {
    status = errno == EACCES ? absl::PermissionDeniedError(std::strerror(errno))
                             : absl::UnavailableError(std::strerror(errno));
  }
  if (fd >= 0) close(fd);
  freeaddrinfo(found);
  return status;
}

}  // namespace kartograph::service
