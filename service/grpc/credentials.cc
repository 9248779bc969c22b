#include "service/grpc/credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "service/access/secret.h"

namespace kartograph::service {
namespace {

constexpr absl::string_view kOpenMethods = "/grpc.health.v1.Health/";
constexpr char kNoToken[] =
    "this address needs the service's token: give its file with --token-file; if you are the "
    "service's user on its machine, use --state-folder instead. Other clients send it as metadata: "
    "authorization: Bearer TOKEN";
constexpr char kWrongToken[] =
    "this is not the service's token, which is in the file `token` of its state folder";

absl::string_view View(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

// What is wrong with a call's metadata; null where it may pass.
const char* Problem(const std::string& token, const grpc_metadata* metadata, size_t count) {
  const char* problem = kNoToken;
  for (size_t i = 0; i < count; ++i) {
    const absl::string_view key = View(metadata[i].key);
    absl::string_view value = View(metadata[i].value);
    if (key == ":path" && absl::StartsWith(value, kOpenMethods)) return nullptr;
    if (key != "authorization") continue;
    // What has been said twice is not clear.
    if (problem != kNoToken) return kWrongToken;
    const bool right = absl::ConsumePrefix(&value, "Bearer ") && SameSecret(value, token);
    problem = right ? nullptr : kWrongToken;
  }
  return problem;
}

// gRPC's C++ interface has no such check for connections without TLS; that below it has.
void Check(void* token, grpc_auth_context*, const grpc_metadata* metadata, size_t count,
           grpc_process_auth_metadata_done_cb done, void* call) {
  const char* problem = Problem(*static_cast<const std::string*>(token), metadata, count);
  done(call, nullptr, 0, nullptr, 0,
       problem == nullptr ? GRPC_STATUS_OK : GRPC_STATUS_UNAUTHENTICATED, problem);
}

grpc_server_credentials* MakeTls(const Tls& tls) {
  grpc_ssl_pem_key_cert_pair own = {tls.key.c_str(), tls.certificates.c_str()};
  const bool known_clients = !tls.client_ca.empty();
  return grpc_ssl_server_credentials_create_ex(
      known_clients ? tls.client_ca.c_str() : nullptr, &own, 1,
      known_clients ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                    : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
      nullptr);
}

class Credentials final : public grpc::ServerCredentials {
 public:
  Credentials(std::string token, const std::optional<Tls>& tls)
      : own_(tls ? MakeTls(*tls) : grpc_insecure_server_credentials_create()) {
    // It may outlive this, with the server's last connection.
    const auto destroy = [](void* state) { delete static_cast<std::string*>(state); };
    grpc_server_credentials_set_auth_metadata_processor(
        own_, {Check, destroy, new std::string(std::move(token))});
  }
  ~Credentials() override { grpc_server_credentials_release(own_); }

  // There is one already.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), own_);
  }

  grpc_server_credentials* const own_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> TokenCredentials(std::string token,
                                                          const std::optional<Tls>& tls) {
  return std::make_shared<Credentials>(std::move(token), tls);
}

}  // namespace kartograph::service
