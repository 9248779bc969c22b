#include "service/access/page_sessions.h"

#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/manual_clock.h"

namespace kartograph::service {
namespace {

class PageSessionsTest : public ::testing::Test {
 protected:
  kartograph::testing::ManualClock clock_;
  PageSessions sessions_{"token", &clock_};
};

TEST_F(PageSessionsTest, ACodeOpensOneSession) {
  const std::string code = sessions_.NewCode("alice");
  const auto session = sessions_.Redeem(code);
  ASSERT_TRUE(session.has_value());
  EXPECT_EQ(sessions_.CredentialOf(*session), "alice");
  EXPECT_FALSE(sessions_.Redeem(code).has_value());
  EXPECT_EQ(sessions_.CredentialOf(*session), "alice");
}

TEST_F(PageSessionsTest, ACodeIsSoonTooOld) {
  const std::string code = sessions_.NewCode("alice");
  clock_.Advance(PageSessions::kCodeLife - absl::Seconds(1));
  const std::string later = sessions_.NewCode("alice");
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(sessions_.Redeem(code).has_value());
  EXPECT_TRUE(sessions_.Redeem(later).has_value());
}

TEST_F(PageSessionsTest, WhatWasNeverGivenOpensNothing) {
  sessions_.NewCode("alice");
  for (const char* code : {"", "0", "../", "ffffffffffffffffffffffffffffffff"}) {
    EXPECT_FALSE(sessions_.Redeem(code).has_value()) << code;
  }
  for (const char* session : {"", ".", "..", "1.2.3", "99999999999.abc.def", "x.y"}) {
    EXPECT_FALSE(sessions_.CredentialOf(session)) << session;
  }
}

TEST_F(PageSessionsTest, KeepsSoManyCodes) {
  std::vector<std::string> codes;
  for (size_t i = 0; i <= PageSessions::kMaxCodes; ++i) codes.push_back(sessions_.NewCode("alice"));
  EXPECT_FALSE(sessions_.Redeem(codes.front()).has_value());
  EXPECT_TRUE(sessions_.Redeem(codes[1]).has_value());
  EXPECT_TRUE(sessions_.Redeem(codes.back()).has_value());
}

TEST_F(PageSessionsTest, ASessionEnds) {
  const std::string session = *sessions_.Redeem(sessions_.NewCode("alice"));
  clock_.Advance(PageSessions::kSessionLife - absl::Seconds(1));
  EXPECT_EQ(sessions_.CredentialOf(session), "alice");
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(sessions_.CredentialOf(session));
}

TEST_F(PageSessionsTest, NobodyElseMakesOrChangesASession) {
  const std::string session = *sessions_.Redeem(sessions_.NewCode("alice"));
  for (size_t i = 0; i < session.size(); ++i) {
    std::string changed = session;
    changed[i] = changed[i] == '1' ? '2' : '1';
    EXPECT_FALSE(sessions_.CredentialOf(changed)) << i;
  }
  const PageSessions other("another token", &clock_);
  EXPECT_FALSE(other.CredentialOf(session));
  EXPECT_NE(other.cookie_name(), sessions_.cookie_name());
}

TEST_F(PageSessionsTest, SessionsOutliveARestartAndCodesDoNot) {
  const std::string session = *sessions_.Redeem(sessions_.NewCode("alice"));
  const std::string code = sessions_.NewCode("alice");
  PageSessions restarted("token", &clock_);
  EXPECT_EQ(restarted.CredentialOf(session), "alice");
  EXPECT_EQ(restarted.cookie_name(), sessions_.cookie_name());
  EXPECT_FALSE(restarted.Redeem(code).has_value());
}

}  // namespace
}  // namespace kartograph::service
