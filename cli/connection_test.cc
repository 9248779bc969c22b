#include "cli/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/state_folder.h"

namespace kartograph::cli {
namespace {

using ::testing::HasSubstr;

std::string WriteFile(const std::string& name, const std::string& text) {
  std::string path = absl::StrCat(::testing::TempDir(), "/", name);
  std::ofstream(path) << text;
  return path;
}

class ConnectionTest : public ::testing::Test {
 protected:
  absl::StatusOr<ClientOptions> Find(const ConnectionArguments& arguments) {
    return FindService(arguments, [this](const char* name) { return variables_[name]; });
  }
  std::string AddressOf(const ConnectionArguments& arguments) {
    const auto found = Find(arguments);
    return found.ok() ? found->address : found.status().ToString();
  }
  std::string Problem(const ConnectionArguments& arguments) {
    const auto found = Find(arguments);
    EXPECT_EQ(found.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(found.status().message());
  }

  std::map<std::string, std::string> variables_;
};

TEST_F(ConnectionTest, FindsTheSocketOfAStateFolder) {
  EXPECT_EQ(AddressOf({}), absl::StrCat("unix:", SocketPath(DefaultStateFolder())));
  EXPECT_EQ(AddressOf({.state = "/s"}), "unix:/s/run/grpc.sock");
  EXPECT_EQ(AddressOf({.state = "/s/x/../"}), "unix:/s/run/grpc.sock");
  variables_["KARTOGRAPH_STATE_FOLDER"] = "/v";
  EXPECT_EQ(AddressOf({}), "unix:/v/run/grpc.sock");
  EXPECT_EQ(AddressOf({.state = "/s"}), "unix:/s/run/grpc.sock");
}

TEST_F(ConnectionTest, OptionsWinOverVariables) {
  variables_["KARTOGRAPH_STATE_FOLDER"] = "/v";
  variables_["KARTOGRAPH_SERVER"] = "far:1";
  EXPECT_EQ(AddressOf({}), "far:1");
  EXPECT_EQ(AddressOf({.state = "/s"}), "unix:/s/run/grpc.sock");
  EXPECT_EQ(AddressOf({.server = "near:2"}), "near:2");
}

TEST_F(ConnectionTest, CompletesAddresses) {
  EXPECT_EQ(AddressOf({.server = "host"}), "host:50061");
  EXPECT_EQ(AddressOf({.server = "[::1]"}), "[::1]:50061");
  EXPECT_EQ(AddressOf({.server = "[::1]:9"}), "[::1]:9");
  EXPECT_EQ(AddressOf({.server = "unix:/a/b"}), "unix:/a/b");
  EXPECT_EQ(AddressOf({.server = "unix:///a/b"}), "unix:/a/b");
  EXPECT_THAT(AddressOf({.server = "unix:b"}), ::testing::MatchesRegex("unix:/.*/b"));
  EXPECT_THAT(Problem({.server = "http://host:1"}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(Problem({.server = "unix:"}), HasSubstr("path"));
  EXPECT_EQ(AddressOf({.server = "host:"}), "host:50061");
  EXPECT_EQ(AddressOf({.server = "host:65535"}), "host:65535");
  EXPECT_EQ(Problem({.server = "127.0.0.1:abc"}),
            "--server 127.0.0.1:abc: \"abc\" is not a valid port; give a number from 1 to 65535");
  for (const char* address : {"host:65536", "host:0", "host:-1", "[::1]:x", "h:99999999999"}) {
    EXPECT_THAT(Problem({.server = address}), HasSubstr("is not a valid port")) << address;
  }
}

TEST_F(ConnectionTest, SendsATokenOnlyWhereToldTo) {
  const std::string file = WriteFile("token", "secret-word\n");
  EXPECT_EQ(Find({.server = "host", .token_file = file})->token, "secret-word");
  EXPECT_EQ(Find({.server = "host"})->token, "");
  EXPECT_EQ(Find({.state = "/s", .token_file = file})->token, "");
  variables_["KARTOGRAPH_TOKEN_FILE"] = file;
  EXPECT_EQ(Find({.server = "host"})->token, "secret-word");
  EXPECT_EQ(Find({.server = "unix:/a"})->token, "");
}

TEST_F(ConnectionTest, RefusesWhatIsNoToken) {
  EXPECT_THAT(Problem({.server = "h", .token_file = "/no/such"}), HasSubstr("/no/such"));
  for (const std::string& text :
       {std::string(), std::string("two words"), std::string("\x01"), std::string(5000, 'a')}) {
    const std::string file = WriteFile("wrong", text);
    EXPECT_THAT(Problem({.server = "h", .token_file = file}), HasSubstr("--token-file"));
  }
}

TEST_F(ConnectionTest, UsesTlsWithAnAuthority) {
  const std::string ca = WriteFile("ca", "authorities");
  const std::string cert = WriteFile("cert", "certificate");
  const std::string key = WriteFile("key", "key");
  EXPECT_FALSE(Find({.server = "h"})->tls.has_value());
  EXPECT_EQ(Find({.server = "h", .tls_ca = ca})->tls->authorities, "authorities");
  variables_["KARTOGRAPH_TLS_CA"] = ca;
  const auto both = Find({.server = "h", .tls_cert = cert, .tls_key = key});
  EXPECT_EQ(both->tls->certificates, "certificate");
  EXPECT_EQ(both->tls->key, "key");
  EXPECT_THAT(Problem({.server = "h", .tls_cert = cert}), HasSubstr("--tls-key"));
  EXPECT_THAT(Problem({.server = "h", .tls_ca = "/no/such"}), HasSubstr("--tls-ca"));
  variables_.clear();
  EXPECT_THAT(Problem({.server = "h", .tls_cert = cert, .tls_key = key}), HasSubstr("--tls-ca"));
}

}  // namespace
}  // namespace kartograph::cli
