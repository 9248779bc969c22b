#include "executor/mesos/executor/executor_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <string>

namespace kartograph::executor::mesos {
namespace {

using testing::HasSubstr;

class ExecutorEnvironmentTest : public testing::Test {
 protected:
  absl::StatusOr<ExecutorEnvironment> Read() {
    return ReadExecutorEnvironment([this](const char* name) {
      auto it = variables_.find(name);
      return it == variables_.end() ? nullptr : it->second.c_str();
    });
  }
  std::string Problem() { return std::string(Read().status().message()); }

  std::map<std::string, std::string> variables_ = {{"MESOS_AGENT_ENDPOINT", "10.0.0.7:5051"},
                                                   {"MESOS_FRAMEWORK_ID", "f-1"},
                                                   {"MESOS_EXECUTOR_ID", "kartograph"},
                                                   {"MESOS_DIRECTORY", "/var/lib/mesos/x"}};
};

TEST_F(ExecutorEnvironmentTest, ReadsWhatThereHasToBe) {
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->agent.ToString(), "http://10.0.0.7:5051/api/v1/executor");
  EXPECT_EQ(read->framework_id, "f-1");
  EXPECT_EQ(read->executor_id, "kartograph");
  EXPECT_EQ(read->sandbox, "/var/lib/mesos/x");
  EXPECT_EQ(read->authorization, "");
  EXPECT_FALSE(read->checkpoint);
  EXPECT_EQ(read->shutdown_grace, absl::Seconds(5));
}

TEST_F(ExecutorEnvironmentTest, ReadsWhatThereMayBe) {
  variables_["MESOS_AGENT_ENDPOINT"] = "[fd00::1]:5052";
  variables_["MESOS_SANDBOX"] = "/mnt/mesos/sandbox";
  variables_["MESOS_CHECKPOINT"] = "1";
  variables_["MESOS_RECOVERY_TIMEOUT"] = "15mins";
  variables_["MESOS_SUBSCRIPTION_BACKOFF_MAX"] = "2secs";
  variables_["MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD"] = "3.5secs";
  variables_["MESOS_EXECUTOR_AUTHENTICATION_TOKEN"] = "abc.def";
  variables_["LIBPROCESS_SSL_ENABLED"] = "true";
  variables_["LIBPROCESS_SSL_VERIFY_SERVER_CERT"] = "1";
  variables_["LIBPROCESS_SSL_CA_FILE"] = "/etc/ca.pem";
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->agent.tls);
  EXPECT_EQ(read->agent.host, "fd00::1");
  EXPECT_EQ(read->agent.port, 5052);
  EXPECT_EQ(read->sandbox, "/mnt/mesos/sandbox");
  EXPECT_TRUE(read->checkpoint);
  EXPECT_EQ(read->recovery_timeout, absl::Minutes(15));
  EXPECT_EQ(read->max_backoff, absl::Seconds(2));
  EXPECT_EQ(read->shutdown_grace, absl::Milliseconds(3500));
  EXPECT_EQ(read->authorization, "Bearer abc.def");
  EXPECT_TRUE(read->tls_verify);
  EXPECT_EQ(read->tls_ca_file, "/etc/ca.pem");
}

TEST_F(ExecutorEnvironmentTest, SaysWhatIsMissing) {
  for (const char* name :
       {"MESOS_AGENT_ENDPOINT", "MESOS_FRAMEWORK_ID", "MESOS_EXECUTOR_ID", "MESOS_DIRECTORY"}) {
    auto taken = variables_.extract(name);
    EXPECT_TRUE(absl::IsInvalidArgument(Read().status()));
    EXPECT_THAT(Problem(), HasSubstr(name));
    EXPECT_THAT(Problem(), HasSubstr("is not set"));
    variables_.insert(std::move(taken));
  }
}

TEST_F(ExecutorEnvironmentTest, SaysWhatIsWrong) {
  for (const char* address : {"10.0.0.7", "10.0.0.7:", ":5051", "a:0", "a:65536", "a:5051x"}) {
    variables_["MESOS_AGENT_ENDPOINT"] = address;
    EXPECT_THAT(Problem(), HasSubstr(address));
  }
  variables_["MESOS_AGENT_ENDPOINT"] = "10.0.0.7:5051";
  variables_["MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD"] = "soon";
  EXPECT_THAT(Problem(),
              HasSubstr("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: 'soon' is not a valid duration"));
  variables_.erase("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD");
  variables_["MESOS_SANDBOX"] = "here";
  EXPECT_THAT(Problem(), HasSubstr("'here' is not an absolute path"));
}

TEST(MesosDurationTest, KnowsItsUnits) {
  EXPECT_EQ(*ParseMesosDuration("0ns"), absl::ZeroDuration());
  EXPECT_EQ(*ParseMesosDuration("1.5us"), absl::Nanoseconds(1500));
  EXPECT_EQ(*ParseMesosDuration("20ms"), absl::Milliseconds(20));
  EXPECT_EQ(*ParseMesosDuration("5secs"), absl::Seconds(5));
  EXPECT_EQ(*ParseMesosDuration("15mins"), absl::Minutes(15));
  EXPECT_EQ(*ParseMesosDuration("2hrs"), absl::Hours(2));
  EXPECT_EQ(*ParseMesosDuration("1days"), absl::Hours(24));
  EXPECT_EQ(*ParseMesosDuration("1weeks"), absl::Hours(168));
  for (const char* wrong : {"", "5", "secs", "5 secs", "-5secs", "5sec", "1.2.3secs"}) {
    EXPECT_FALSE(ParseMesosDuration(wrong).ok()) << wrong;
  }
}

TEST(CleanEnvironmentTest, LeavesTheSandboxAlone) {
  setenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "secret", 1);
  const char* token = getenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN");
  setenv("MESOS_SANDBOX", "/sandbox", 1);
  setenv("MESOS_FRAMEWORK_ID", "f", 1);
  setenv("LIBPROCESS_PORT", "0", 1);
  setenv("OTHER", "stays", 1);
  CleanEnvironment();
  EXPECT_STREQ(token, "xxxxxx");
  EXPECT_EQ(getenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN"), nullptr);
  EXPECT_EQ(getenv("MESOS_FRAMEWORK_ID"), nullptr);
  EXPECT_EQ(getenv("LIBPROCESS_PORT"), nullptr);
  EXPECT_STREQ(getenv("MESOS_SANDBOX"), "/sandbox");
  EXPECT_STREQ(getenv("OTHER"), "stays");
}

}  // namespace
}  // namespace kartograph::executor::mesos
