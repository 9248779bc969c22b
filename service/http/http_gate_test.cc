#include "service/http/http_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/testing/manual_clock.h"

namespace kartograph::service {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kToken[] = "0123456789abcdef0123456789abcdef";

class HttpGateTest : public ::testing::Test {
 protected:
  // What the gate answers; where it lets the request through, status 200 with its path.
  HttpResponse Ask(const HttpRequest& request) {
    HttpGate gate(options_, users_.get(), &sessions_,
                  [](HttpRequest passed, const HttpReply& reply) {
                    HttpResponse response;
                    response.body = absl::StrCat("passed ", passed.path);
                    reply(std::move(response));
                  });
    std::optional<HttpResponse> answer;
    gate.Handle(request, [&](HttpResponse response) { answer = std::move(response); });
    EXPECT_TRUE(answer.has_value());
    return answer.value_or(HttpResponse());
  }
  static HttpRequest Request(const std::string& target, const std::string& host = "127.0.0.1:80") {
    HttpRequest request = *ParseTarget(target);
    request.host = host;
    return request;
  }
  static HttpRequest WithToken(const std::string& target, const std::string& host = "127.0.0.1:80",
                               absl::string_view token = kToken) {
    HttpRequest request = Request(target, host);
    request.authorization = absl::StrCat("Bearer ", token);
    return request;
  }
  static std::string FreshFile() {
    std::string folder = ::testing::TempDir() + "/gate.XXXXXX";
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    return folder + "/users";
  }
  static std::string HeaderOf(const HttpResponse& response, absl::string_view name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }
  // The value of a Cookie header with which a browser that has logged in asks.
  std::string LogIn() { return LogIn(users_->Owner().credential); }
  std::string LogIn(const std::string& credential) {
    const HttpResponse answer = Ask(Request(HttpGate::LoginTarget(sessions_.NewCode(credential))));
    const std::string set = HeaderOf(answer, "Set-Cookie");
    return set.substr(0, set.find(';'));
  }

  kartograph::testing::ManualClock clock_;
  const std::unique_ptr<Users> users_ = *Users::Open({.file = FreshFile(), .token = kToken});
  PageSessions sessions_{kToken, &clock_};
  HttpGate::Options options_{.listening = {"127.0.0.1", 80}};
};

TEST_F(HttpGateTest, LetsNobodyInWithoutTokenOrSession) {
  for (const char* path : {"/", "/index.html", "/page.js", "/nothing", "/api/v1/graphs",
                           "/api/v1/events", "/metrics", "/executor/x"}) {
    const HttpResponse answer = Ask(Request(path));
    EXPECT_EQ(answer.status, 401) << path;
    EXPECT_EQ(HeaderOf(answer, "WWW-Authenticate"), "Bearer") << path;
    EXPECT_THAT(answer.body, HasSubstr("kartograph page")) << path;
    EXPECT_EQ(Ask(WithToken(path)).body, absl::StrCat("passed ", path));
  }
  EXPECT_THAT(Ask(Request("/")).content_type, StartsWith("text/html"));
  EXPECT_EQ(Ask(Request("/api/v1/graphs")).content_type, "application/json");
  EXPECT_EQ(Ask(Request("/healthz")).status, 200);
}

TEST_F(HttpGateTest, RefusesAWrongToken) {
  HttpRequest request = Request("/");
  for (const std::string& wrong :
       {std::string(kToken), std::string("Bearer "), std::string("Bearer nonsense"),
        absl::StrCat("Bearer ", kToken, "0"), absl::StrCat("Basic ", kToken)}) {
    request.authorization = wrong;
    EXPECT_EQ(Ask(request).status, 401) << wrong;
  }
  // A wrong token is not made good by anything else.
  request.authorization = "Bearer nonsense";
  request.cookie = LogIn();
  EXPECT_EQ(Ask(request).status, 401);
}

TEST_F(HttpGateTest, LetsAUserInUntilRemoved) {
  const std::string token = *users_->Add("alice", Role::kReader);
  const HttpRequest by_token = WithToken("/api/v1/graphs", "127.0.0.1:80", token);
  HttpRequest by_session = Request("/");
  by_session.cookie = LogIn(users_->Find(token)->credential);
  EXPECT_EQ(Ask(by_token).status, 200);
  EXPECT_EQ(Ask(by_session).status, 200);
  ASSERT_TRUE(users_->Remove("alice").ok());
  EXPECT_EQ(Ask(by_token).status, 401);
  EXPECT_EQ(Ask(by_session).status, 401);
  by_session.cookie = LogIn();
  EXPECT_EQ(Ask(by_session).status, 200) << "other sessions go on";
}

TEST_F(HttpGateTest, AnswersForItsOwnNamesAlone) {
  options_.hosts = {"Maps.Example"};
  for (const char* host : {"127.0.0.1:80", "127.0.0.1", "127.1.2.3:99", "localhost:8080",
                           "LOCALHOST", "[::1]:80", "[::1]", "maps.example:443", "MAPS.example"}) {
    EXPECT_EQ(Ask(WithToken("/", host)).status, 200) << host;
  }
  // What a web page of these names could make a browser ask here (DNS rebinding).
  for (const char* host :
       {"", "evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example",
        "10.0.0.1", "[::2]:80", "x@localhost", "]", "localhost:80:80", "0.0.0.0"}) {
    for (const HttpRequest& request : {WithToken("/", host), Request("/login?code=1", host)}) {
      const HttpResponse answer = Ask(request);
      EXPECT_EQ(answer.status, 403) << host;
      EXPECT_THAT(answer.body, HasSubstr("--http-host"));
    }
  }
  EXPECT_EQ(Ask(Request("/healthz", "evil.example")).status, 200);
}

TEST_F(HttpGateTest, AnswersForTheAddressItListensOn) {
  options_.listening = {"10.0.0.5", 80};
  EXPECT_EQ(Ask(WithToken("/", "10.0.0.5:80")).status, 200);
  EXPECT_EQ(Ask(WithToken("/", "10.0.0.6:80")).status, 403);
  options_.listening = {"0.0.0.0", 80};
  EXPECT_EQ(Ask(WithToken("/", "10.0.0.6:80")).status, 200);
  EXPECT_EQ(Ask(WithToken("/", "[fe80::1]:80")).status, 200);
  EXPECT_EQ(Ask(WithToken("/", "evil.example")).status, 403);
}

TEST_F(HttpGateTest, RefusesOtherSitesPages) {
  HttpRequest request = WithToken("/api/v1/graphs");
  for (const char* origin : {"http://127.0.0.1:80", "https://127.0.0.1:80"}) {
    request.origin = origin;
    EXPECT_EQ(Ask(request).status, 200) << origin;
  }
  for (const char* origin : {"http://evil.example", "null", "http://127.0.0.1:81",
                             "http://localhost:80", "http://127.0.0.1:80.evil.example", "x"}) {
    request.origin = origin;
    EXPECT_EQ(Ask(request).status, 403) << origin;
  }
}

TEST_F(HttpGateTest, ALinkLogsOneBrowserIn) {
  const std::string link = HttpGate::LoginTarget(sessions_.NewCode(users_->Owner().credential));
  HttpRequest look = Request(link);
  look.head = true;
  EXPECT_EQ(Ask(look).status, 200) << "who only looks at a link does not use it up";
  const HttpResponse answer = Ask(Request(link));
  EXPECT_EQ(answer.status, 303);
  EXPECT_EQ(HeaderOf(answer, "Location"), "/login");
  const std::string cookie = HeaderOf(answer, "Set-Cookie");
  EXPECT_THAT(cookie, StartsWith(sessions_.cookie_name() + "="));
  EXPECT_THAT(cookie, AllOf(HasSubstr("; HttpOnly"), HasSubstr("; SameSite=Strict"),
                            HasSubstr("; Path=/"), HasSubstr("; Max-Age=604800")));
  EXPECT_THAT(cookie, Not(HasSubstr("Secure")));
  EXPECT_EQ(Ask(Request(link)).status, 401) << "twice";

  const HttpResponse next = Ask(Request("/login"));
  EXPECT_EQ(next.status, 200);
  EXPECT_EQ(HeaderOf(next, "Refresh"), "0; url=/");
  HttpRequest request = Request("/");
  request.cookie = absl::StrCat("other=1; ", cookie.substr(0, cookie.find(';')), ";x=y");
  EXPECT_EQ(Ask(request).status, 200);
}

TEST_F(HttpGateTest, ALinkIsSoonTooOld) {
  const std::string link = HttpGate::LoginTarget(sessions_.NewCode(users_->Owner().credential));
  clock_.Advance(PageSessions::kCodeLife);
  const HttpResponse answer = Ask(Request(link));
  EXPECT_EQ(answer.status, 401);
  EXPECT_THAT(answer.body, HasSubstr("too old"));
  EXPECT_EQ(HeaderOf(answer, "Set-Cookie"), "");
}

TEST_F(HttpGateTest, ASessionEnds) {
  HttpRequest request = Request("/");
  request.cookie = LogIn();
  EXPECT_EQ(Ask(request).status, 200);
  clock_.Advance(PageSessions::kSessionLife);
  EXPECT_EQ(Ask(request).status, 401);
  request.cookie = absl::StrCat(sessions_.cookie_name(), "=made.up.one");
  EXPECT_EQ(Ask(request).status, 401);
}

TEST_F(HttpGateTest, OverTlsTheCookieStaysThere) {
  options_.tls = true;
  const HttpResponse answer =
      Ask(Request(HttpGate::LoginTarget(sessions_.NewCode(users_->Owner().credential))));
  EXPECT_THAT(HeaderOf(answer, "Set-Cookie"), HasSubstr("; Secure"));
}

TEST_F(HttpGateTest, MetricsMayBeOpen) {
  options_.metrics_open = true;
  EXPECT_EQ(Ask(Request("/metrics")).status, 200);
  EXPECT_EQ(Ask(Request("/metrics", "evil.example")).status, 403);
  EXPECT_EQ(Ask(Request("/api/v1/graphs")).status, 401);
}

TEST_F(HttpGateTest, WhatAgentsFetchHasAPathOfItsOwnAndAnyHost) {
  options_.open_path = "/executor/0123/program";
  EXPECT_EQ(Ask(Request("/executor/0123/program", "whatever.example")).status, 200);
  EXPECT_EQ(Ask(Request("/executor/0124/program")).status, 401);
  EXPECT_EQ(Ask(Request("/executor/0123/program/x")).status, 401);
}

}  // namespace
}  // namespace kartograph::service
