#include "cli/connection.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/small_file.h"
#include "base/state_folder.h"

namespace kartograph::cli {
namespace {

constexpr size_t kMaxToken = 4096;

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

// Sockets are found wherever the command line runs, so their paths are absolute.
std::string Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return path;
  const std::string normal = absolute.lexically_normal().string();
  return std::string(normal == "/" ? normal : absl::StripSuffix(normal, "/"));
}

// Makes HOST:PORT, or unix: and a path, of what was given as the service's address.
absl::StatusOr<std::string> CompleteAddress(std::string address) {
  absl::string_view path = address;
  if (absl::ConsumePrefix(&path, kSocketPrefix)) {
    absl::ConsumePrefix(&path, "//");  // also a form of such an address
    if (path.empty()) return Wrong("--server unix: needs the path of a socket after it");
    return absl::StrCat(kSocketPrefix, Absolute(std::string(path)));
  }
  const size_t scheme = address.find("://");
  if (scheme != std::string::npos) {
    return Wrong(absl::StrCat("--server takes HOST:PORT or unix:PATH, without \"",
                              address.substr(0, scheme + 3),
                              "\"; the service listens for gRPC on port ", kDefaultPort,
                              " unless it was started with another"));
  }
  const size_t host_end = absl::StartsWith(address, "[") ? address.find(']') : 0;
  if (host_end == std::string::npos) return address;
  const size_t colon = address.find(':', host_end);
  // An IPv6 address without brackets has more than one.
  const bool has_port = colon != std::string::npos && colon + 1 < address.size() &&
                        address.find(':', colon + 1) == std::string::npos;
  const absl::string_view port =
      has_port ? absl::string_view(address).substr(colon + 1) : kDefaultPort;
  int number = 0;
  const bool digits =
      std::all_of(port.begin(), port.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
  if (!digits || !absl::SimpleAtoi(port, &number) || number < 1 || number > 65535) {
    return Wrong(absl::StrCat("--server ", address, ": \"", port,
                              "\" is not a valid port; give a number from 1 to 65535"));
  }
  if (colon == std::string::npos) absl::StrAppend(&address, ":", kDefaultPort);
  if (colon == address.size() - 1) address.append(kDefaultPort);
  return address;
}

absl::StatusOr<std::string> ReadGiven(const std::string& path, absl::string_view option,
                                      size_t max_bytes) {
  absl::StatusOr<std::string> text = ReadFile(path, max_bytes);
  if (text.ok()) return text;
  return Wrong(absl::StrCat(option, ": ", std::string(text.status().message())));
}

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  absl::StatusOr<std::string> text = ReadGiven(path, "--token-file", kMaxToken);
  if (!text.ok()) return text;
  std::string token(absl::StripAsciiWhitespace(*text));
  const bool fits = std::all_of(token.begin(), token.end(),
                                [](unsigned char c) { return absl::ascii_isgraph(c); });
  if (token.empty() || !fits) {
    return Wrong(absl::StrCat("--token-file: ", path,
                              " holds no token, which is one word, as in the file `token` of the "
                              "service's state folder"));
  }
  return token;
}

absl::StatusOr<ClientTls> ReadTls(const ConnectionArguments& arguments) {
  if (arguments.tls_cert.empty() != arguments.tls_key.empty()) {
    return Wrong("--tls-cert and --tls-key belong together");
  }
  if (arguments.tls_ca.empty()) {
    return Wrong(
        "--tls-cert: needs --tls-ca, the authority of the service's certificate (the system's are "
        "in /etc/ssl/certs/ca-certificates.crt)");
  }
  ClientTls tls;
  for (const auto& [path, option, text] :
       {std::tuple(&arguments.tls_ca, "--tls-ca", &tls.authorities),
        std::tuple(&arguments.tls_cert, "--tls-cert", &tls.certificates),
        std::tuple(&arguments.tls_key, "--tls-key", &tls.key)}) {
    if (path->empty()) continue;
    absl::StatusOr<std::string> read = ReadGiven(*path, option, kMaxSmallFileBytes);
    if (!read.ok()) return read.status();
    *text = *std::move(read);
  }
  return tls;
}

}  // namespace

absl::StatusOr<ClientOptions> FindService(ConnectionArguments arguments,
                                          const std::function<std::string(const char*)>& variable) {
  // An option of one kind of address wins over a variable of the other.
  if (arguments.state.empty() && arguments.server.empty()) {
    arguments.server = variable("KARTOGRAPH_SERVER");
    if (arguments.server.empty()) arguments.state = variable("KARTOGRAPH_STATE_FOLDER");
  }
  ClientOptions options;
  if (arguments.server.empty()) {
    if (arguments.state.empty()) arguments.state = DefaultStateFolder();
    options.address = absl::StrCat(kSocketPrefix, SocketPath(Absolute(arguments.state)));
    return options;
  }
  absl::StatusOr<std::string> address = CompleteAddress(arguments.server);
  if (!address.ok()) return address.status();
  options.address = *std::move(address);
  if (absl::StartsWith(options.address, kSocketPrefix)) return options;

  const auto complete = [&](std::string& argument, const char* name) {
    if (argument.empty()) argument = variable(name);
  };
  complete(arguments.token_file, "KARTOGRAPH_TOKEN_FILE");
  complete(arguments.tls_ca, "KARTOGRAPH_TLS_CA");
  complete(arguments.tls_cert, "KARTOGRAPH_TLS_CERT");
  complete(arguments.tls_key, "KARTOGRAPH_TLS_KEY");
  if (!arguments.token_file.empty()) {
    absl::StatusOr<std::string> token = ReadToken(arguments.token_file);
    if (!token.ok()) return token.status();
    options.token = *std::move(token);
  }
  if (!arguments.tls_ca.empty() || !arguments.tls_cert.empty() || !arguments.tls_key.empty()) {
    absl::StatusOr<ClientTls> tls = ReadTls(arguments);
    if (!tls.ok()) return tls.status();
    options.tls = *std::move(tls);
  }
  return options;
}

}  // namespace kartograph::cli
