#include "service/grpc/credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "service/access/method_roles.h"

namespace kartograph::service {
namespace {

constexpr absl::string_view kOpenMethods = "/grpc.health.v1.Health/";
constexpr char kNoToken[] =
    "this address needs the service's token: give its file with --token-file; if you are the "
    "service's user on its machine, use --state-folder instead. Other clients send it as metadata: "
    "authorization: Bearer TOKEN";
constexpr char kWrongToken[] =
    "this is not the service's token, which is in the file `token` of its state folder, nor a "
    "user's";
constexpr char kReadersRole[] =
    "a user with the role `reader` may look and change nothing; an administrator gives other roles";
constexpr char kUsersRole[] = "this takes the role `admin`";

absl::string_view View(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

struct Verdict {
  grpc_status_code code = GRPC_STATUS_UNAUTHENTICATED;
  const char* problem = kNoToken;  // null where the call may pass
};
constexpr Verdict kPass = {GRPC_STATUS_OK, nullptr};
constexpr Verdict kWrong = {GRPC_STATUS_UNAUTHENTICATED, kWrongToken};

Verdict Judge(const Users& users, const grpc_metadata* metadata, size_t count) {
  absl::string_view path;
  std::optional<Caller> caller;
  bool named = false;
  for (size_t i = 0; i < count; ++i) {
    const absl::string_view key = View(metadata[i].key);
    absl::string_view value = View(metadata[i].value);
    if (key == ":path") path = value;
    if (key != "authorization") continue;
    // What has been said twice is not clear.
    const bool bearer = !named && absl::ConsumePrefix(&value, "Bearer ");
    caller = bearer ? users.Find(value) : std::nullopt;
    named = true;
  }
  if (absl::StartsWith(path, kOpenMethods)) return kPass;
  if (!named) return {};
  if (!caller) return kWrong;
  if (caller->role >= RoleFor(path)) return kPass;
  return {
      GRPC_STATUS_PERMISSION_DENIED,
      caller->role == Role::kReader && RoleFor(path) == Role::kUser ? kReadersRole : kUsersRole};
}

// gRPC's C++ interface has no such check for connections without TLS; that below it has.
void Check(void* users, grpc_auth_context*, const grpc_metadata* metadata, size_t count,
           grpc_process_auth_metadata_done_cb done, void* call) {
  const Verdict verdict = Judge(*static_cast<const Users*>(users), metadata, count);
  done(call, nullptr, 0, nullptr, 0, verdict.code, verdict.problem);
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
  Credentials(const Users* users, const std::optional<Tls>& tls)
      : own_(tls ? MakeTls(*tls) : grpc_insecure_server_credentials_create()) {
    grpc_server_credentials_set_auth_metadata_processor(
        own_, {Check, [](void*) {}, const_cast<Users*>(users)});
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

std::shared_ptr<grpc::ServerCredentials> UserCredentials(const Users* users,
                                                         const std::optional<Tls>& tls) {
  return std::make_shared<Credentials>(users, tls);
}

}  // namespace kartograph::service
