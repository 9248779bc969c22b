#include "executor/mesos/endpoint.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace kartograph::executor::mesos {
namespace {

// Hosts may be internationalized; what would end up elsewhere in a request, or in a list of hosts,
// may not be in them.
bool MayBeInHost(char c) {
  return !absl::ascii_isspace(c) && !absl::ascii_iscntrl(c) &&
         !absl::StrContains("[]/?#@,\"<>\\", c);
}

bool MayBeInAddress(char c) { return c == ':' || c == '.' || c == '%' || absl::ascii_isalnum(c); }

}  // namespace

std::string HostPort::ToString() const {
  const bool colons = absl::StrContains(host, ':');
  return absl::StrCat(colons ? "[" : "", host, colons ? "]" : "", ":", port);
}

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text, uint16_t default_port) {
  const std::string shown = absl::StrCat("\"", absl::CEscape(text), "\"");
  absl::string_view host = text;
  absl::string_view port;
  bool has_port = false;
  if (absl::ConsumePrefix(&host, "[")) {
    const size_t end = host.find(']');
    if (end == host.npos) {
      return absl::InvalidArgumentError(absl::StrCat(shown, " has no ] after the IPv6 address"));
    }
    port = host.substr(end + 1);
    host = host.substr(0, end);
    has_port = absl::ConsumePrefix(&port, ":");
    if (!has_port && !port.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(shown, ": only : and a port may follow the ]"));
    }
    if (!absl::StrContains(host, ':') || !std::all_of(host.begin(), host.end(), MayBeInAddress)) {
      return absl::InvalidArgumentError(
          absl::StrCat(shown, ": what is in brackets is not an IPv6 address"));
    }
  } else {
    const size_t colon = host.find(':');
    if (colon != host.rfind(':')) {
      return absl::InvalidArgumentError(
          absl::StrCat(shown, ": an IPv6 address needs brackets, such as [::1]:", default_port));
    }
    if (colon != host.npos) {
      has_port = true;
      port = host.substr(colon + 1);
      host = host.substr(0, colon);
    }
    if (host.empty()) return absl::InvalidArgumentError(absl::StrCat(shown, " names no host"));
    if (!std::all_of(host.begin(), host.end(), MayBeInHost)) {
      return absl::InvalidArgumentError(absl::StrCat(shown, " is not the name of a host"));
    }
  }
  HostPort result{std::string(host), default_port};
  if (!has_port) return result;
  int number = 0;
  if (!std::all_of(port.begin(), port.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(port, &number) || number < 1 || number > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(shown, ": a port is a number from 1 to 65535"));
  }
  result.port = static_cast<uint16_t>(number);
  return result;
}

std::string Endpoint::ToString() const {
  return absl::StrCat(tls ? "https://" : "http://", HostPort{host, port}.ToString(), target);
}

absl::StatusOr<Endpoint> ParseRedirect(absl::string_view location, const Endpoint& from) {
  absl::string_view rest = absl::StripAsciiWhitespace(location);
  rest = rest.substr(0, rest.find('#'));
  const std::string shown = absl::StrCat("the redirect to \"", absl::CEscape(location), "\"");
  if (std::any_of(rest.begin(), rest.end(),
                  [](char c) { return absl::ascii_isspace(c) || absl::ascii_iscntrl(c); })) {
    return absl::InvalidArgumentError(absl::StrCat(shown, " is not a URL"));
  }
  Endpoint to = from;
  if (absl::StartsWith(rest, "/") && !absl::StartsWith(rest, "//")) {
    to.target = std::string(rest);
    return to;
  }
  if (const size_t colon = rest.find("://"); colon != rest.npos) {
    const absl::string_view scheme = rest.substr(0, colon);
    to.tls = absl::EqualsIgnoreCase(scheme, "https");
    if (!to.tls && !absl::EqualsIgnoreCase(scheme, "http")) {
      return absl::InvalidArgumentError(absl::StrCat(shown, " leads to neither http nor https"));
    }
    rest.remove_prefix(colon + 1);
  }
  if (!absl::ConsumePrefix(&rest, "//")) {
    return absl::InvalidArgumentError(absl::StrCat(shown, " names no host"));
  }
  const absl::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  const absl::string_view path = rest.substr(authority.size());
  absl::StatusOr<HostPort> host = ParseHostPort(authority, to.tls ? 443 : 80);
  if (!host.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(shown, ": ", host.status().message()));
  }
  to.host = std::move(host->host);
  to.port = host->port;
  // A master that redirects to another one as a whole means what was asked of it.
  if (!path.empty() && path != "/") {
    to.target = absl::StrCat(absl::StartsWith(path, "/") ? "" : "/", path);
  }
  return to;
}

}  // namespace kartograph::executor::mesos
