#include "executor/mesos/framework/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace kartograph::executor::mesos {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class CredentialsTest : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv(kSecretVariable);
    path_ = absl::StrCat(testing::TempDir(), "/credentials");
    before_ = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_)));
  }
  void TearDown() override {
    spdlog::set_default_logger(before_);
    unsetenv(kSecretVariable);
  }

  void Write(absl::string_view text, mode_t mode = 0600) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << text;
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }
  // "principal/secret" of a file, or the error.
  std::string Read(absl::string_view text, absl::string_view principal = "") {
    Write(text);
    absl::StatusOr<Credentials> read = ReadCredentials(principal, path_);
    if (read.ok()) return absl::StrCat(read->principal, "/", read->secret);
    EXPECT_THAT(std::string(read.status().message()), Not(HasSubstr("hush"))) << text;
    return read.status().ToString();
  }

  std::string path_;
  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> before_;
};

TEST_F(CredentialsTest, ReadsEachKindOfFile) {
  EXPECT_EQ(Read(R"({"principal": "me", "secret": "hu sh:"})"), "me/hu sh:");
  EXPECT_EQ(Read("\n {\"principal\": \"me\", \"secret\": \"hush\", \"more\": [1]}\n"), "me/hush");
  EXPECT_EQ(Read(R"({"secret": "hush"})", "me"), "me/hush");
  EXPECT_EQ(Read("me hush"), "me/hush");
  EXPECT_EQ(Read("me\thush\r\n", "me"), "me/hush");
  EXPECT_EQ(Read("me\nhush\n"), "me/hush");
  EXPECT_EQ(Read("hush\n", "me"), "me/hush");
  EXPECT_THAT(log_.str(), IsEmpty());
}

TEST_F(CredentialsTest, SaysWhatIsWrongWithAFile) {
  EXPECT_THAT(Read(""), AllOf(HasSubstr("UNAVAILABLE"), HasSubstr("empty"), HasSubstr(path_)));
  EXPECT_THAT(Read(" \n"), HasSubstr("empty"));
  EXPECT_THAT(Read("one hush\ntwo hush\n"), HasSubstr("more than a principal and a secret"));
  EXPECT_THAT(Read("{\"secret\": \"hush\""), HasSubstr("like JSON and is not"));
  EXPECT_THAT(Read("{\"principal\": \"me\"}"), HasSubstr("no secret"));
  EXPECT_THAT(Read("{\"principal\": \"me\", \"secret\": 5}"), HasSubstr("is not a string"));
  EXPECT_THAT(Read(std::string("me \0hush", 8)), HasSubstr("not text"));
  EXPECT_THAT(Read(std::string(100000, 'x')), HasSubstr("too large"));
  absl::StatusOr<Credentials> missing = ReadCredentials("me", path_ + ".not");
  EXPECT_TRUE(absl::IsUnavailable(missing.status())) << missing.status();
  EXPECT_TRUE(absl::IsUnavailable(ReadCredentials("me", testing::TempDir()).status()));
}

TEST_F(CredentialsTest, WantsOnePrincipal) {
  EXPECT_THAT(Read("hush"),
              AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("needs a Mesos principal")));
  EXPECT_THAT(Read("me hush", "you"),
              AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("of another")));
  EXPECT_THAT(Read("hush", "a:b"), HasSubstr("colon"));
}

TEST_F(CredentialsTest, ReadsTheEnvironmentWithoutAFile) {
  setenv(kSecretVariable, "of the environment", 1);
  absl::StatusOr<Credentials> read = ReadCredentials("me", "");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->secret, "of the environment");
  EXPECT_EQ(Read("me hush"), "me/hush");
  EXPECT_TRUE(absl::IsInvalidArgument(ReadCredentials("", "").status()));
}

TEST_F(CredentialsTest, CanDoWithoutASecret) {
  absl::StatusOr<Credentials> read = ReadCredentials("me", "");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->principal, "me");
  EXPECT_EQ(BasicAuthorization(*read), "");
  ASSERT_TRUE(ReadCredentials("", "").ok());
}

TEST_F(CredentialsTest, WarnsOfWhatOthersCanRead) {
  Write("me hush", 0644);
  ASSERT_TRUE(ReadCredentials("me", path_).ok());
  EXPECT_THAT(log_.str(), AllOf(HasSubstr("chmod 600"), Not(HasSubstr("hush"))));
}

TEST_F(CredentialsTest, MakesTheHeaderOfTheStandard) {
  // The example of RFC 7617.
  EXPECT_EQ(BasicAuthorization({"Aladdin", "open sesame"}), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

}  // namespace
}  // namespace kartograph::executor::mesos
