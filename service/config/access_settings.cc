#include "service/config/access_settings.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/config/setting_text.h"

namespace kartograph::service {
namespace {

absl::Status SetFile(absl::string_view text, std::string& value) {
  if (text.empty()) return Wrong("must be the name of a file");
  value = std::string(text);
  return absl::OkStatus();
}

absl::Status SetHosts(absl::string_view text, ServiceConfig& config) {
  config.access.http_hosts.clear();
  for (const absl::string_view host : absl::StrSplit(text, ',')) {
    // As a part of an address: the port is not looked at.
    const absl::StatusOr<Address> address = ParseAddress(absl::StrCat(host, ":0"));
    if (!address.ok()) {
      return Wrong("must be names without ports, with commas between, such as maps.example.org");
    }
    config.access.http_hosts.push_back(address->host);
  }
  return absl::OkStatus();
}

using Kind = Setting::Kind;

constexpr Setting kSettings[] = {
    {"tls-cert", "tls-cert", Kind::kValue, "FILE",
     "PEM file of the certificate for --grpc and --http, followed by those that lead to its "
     "authority. Default: no TLS.",
     [](absl::string_view text, ServiceConfig& c) {
       return SetFile(text, c.access.tls_certificate);
     }},
    {"tls-key", "tls-key", Kind::kValue, "FILE", "PEM file of the certificate's private key.",
     [](absl::string_view text, ServiceConfig& c) { return SetFile(text, c.access.tls_key); }},
    {"tls-client-ca", "tls-client-ca", Kind::kValue, "FILE",
     "PEM file of the authority whose certificates clients of --grpc must have, besides the token.",
     [](absl::string_view text, ServiceConfig& c) {
       return SetFile(text, c.access.tls_client_ca);
     }},
    {"insecure", "insecure", Kind::kSwitch, "",
     "Let other machines connect without TLS: anyone who can read or change what is sent on the "
     "way can do anything.",
     [](absl::string_view text, ServiceConfig& c) { return SetSwitch(text, c.access.insecure); }},
    {"http-host", "http-host", Kind::kValue, "NAME[,NAME...]",
     "Names under which browsers reach --http besides its own, such as that of a proxy; the first "
     "one is used in links.",
     SetHosts},
    {"metrics-open", "metrics-open", Kind::kSwitch, "", "Answer /metrics without the token.",
     [](absl::string_view text, ServiceConfig& c) {
       return SetSwitch(text, c.access.metrics_open);
     }},
};

// Whether other machines would reach what is not encrypted.
bool IsExposed(const Address& address) { return !address.host.empty() && !address.IsLoopback(); }

}  // namespace

absl::Span<const Setting> AccessSettings() { return kSettings; }

absl::Status CheckAccessConfig(const ServiceConfig& config) {
  const AccessConfig& access = config.access;
  if (access.tls_certificate.empty() != access.tls_key.empty()) {
    return Wrong(access.tls_key.empty() ? "--tls-cert: needs the certificate's key, --tls-key"
                                        : "--tls-key: needs the key's certificate, --tls-cert");
  }
  if (!access.tls_client_ca.empty() && access.tls_certificate.empty()) {
    return Wrong("--tls-client-ca: needs TLS: --tls-cert and --tls-key");
  }
  if (!access.tls_client_ca.empty() && config.grpc.host.empty()) {
    return Wrong("--tls-client-ca: is about clients of --grpc, which is none");
  }
  if (!access.tls_certificate.empty() || access.insecure) return absl::OkStatus();
  for (const auto& [flag, address] :
       {std::pair("--grpc", &config.grpc), std::pair("--http", &config.http)}) {
    if (!IsExposed(*address)) continue;
    return Wrong(absl::StrCat(flag, " = ", address->ToString(),
                              ": other machines reach this address: encrypt it with --tls-cert and "
                              "--tls-key, or say --insecure if everybody on the network may do "
                              "anything"));
  }
  return absl::OkStatus();
}

}  // namespace kartograph::service
