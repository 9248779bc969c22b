#include "executor/mesos/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kartograph::executor::mesos {
namespace {

using testing::HasSubstr;

constexpr char kTarget[] = "/api/v1/scheduler";

// The endpoint as a text, or the error's.
std::string Redirect(absl::string_view location, bool tls = false) {
  absl::StatusOr<Endpoint> to = ParseRedirect(location, {tls, "first", 5050, kTarget});
  if (to.ok()) return to->ToString();
  EXPECT_TRUE(absl::IsInvalidArgument(to.status())) << to.status();
  return std::string(to.status().message());
}

std::string Parsed(absl::string_view text) {
  absl::StatusOr<HostPort> parsed = ParseHostPort(text, 5050);
  if (parsed.ok()) return parsed->ToString();
  EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << parsed.status();
  return std::string(parsed.status().message());
}

TEST(EndpointTest, ReadsHostsAndPorts) {
  EXPECT_EQ(Parsed("a.example:1"), "a.example:1");
  EXPECT_EQ(Parsed("10.0.0.1:65535"), "10.0.0.1:65535");
  EXPECT_EQ(Parsed("host"), "host:5050");
  EXPECT_EQ(Parsed("[::1]:80"), "[::1]:80");
  EXPECT_EQ(Parsed("[fe80::1%eth0]"), "[fe80::1%eth0]:5050");
  EXPECT_EQ(ParseHostPort("[::1]", 7)->host, "::1");
}

TEST(EndpointTest, SaysWhatIsWrongWithAHost) {
  EXPECT_THAT(Parsed(""), HasSubstr("no host"));
  EXPECT_THAT(Parsed(":5050"), HasSubstr("no host"));
  EXPECT_THAT(Parsed("a b"), HasSubstr("is not the name"));
  EXPECT_THAT(Parsed("a\r\nb"), HasSubstr("is not the name"));
  EXPECT_THAT(Parsed("::1"), HasSubstr("such as [::1]:5050"));
  EXPECT_THAT(Parsed("[::1"), HasSubstr("no ]"));
  EXPECT_THAT(Parsed("[::1]x"), HasSubstr("may follow the ]"));
  EXPECT_THAT(Parsed("[host]:1"), HasSubstr("not an IPv6 address"));
  for (const char* port : {"", "0", "65536", "x", "-1", "+1", "1x", " 1", "99999999999999999999"}) {
    EXPECT_THAT(Parsed(std::string("host:") + port), HasSubstr("from 1 to 65535")) << port;
  }
}

TEST(EndpointTest, FollowsTheRedirectsOfMasters) {
  EXPECT_EQ(Redirect("//10.0.0.2:5050"), "http://10.0.0.2:5050/api/v1/scheduler");
  EXPECT_EQ(Redirect("//10.0.0.2:5050", true), "https://10.0.0.2:5050/api/v1/scheduler");
  EXPECT_EQ(Redirect("//b:5051/"), "http://b:5051/api/v1/scheduler");
  EXPECT_EQ(Redirect("//b:5051/master/api/v1/scheduler"), "http://b:5051/master/api/v1/scheduler");
  EXPECT_EQ(Redirect("//[2001:db8::1]:5050/x"), "http://[2001:db8::1]:5050/x");
}

TEST(EndpointTest, FollowsWholeUrlsAndPaths) {
  EXPECT_EQ(Redirect("https://b:5051"), "https://b:5051/api/v1/scheduler");
  EXPECT_EQ(Redirect("HTTP://b:5051/x?y=1#z", true), "http://b:5051/x?y=1");
  EXPECT_EQ(Redirect("http://b"), "http://b:80/api/v1/scheduler");
  EXPECT_EQ(Redirect("https://b/x"), "https://b:443/x");
  EXPECT_EQ(Redirect("//b?x"), "http://b:80/?x");
  EXPECT_EQ(Redirect("/other"), "http://first:5050/other");
  EXPECT_EQ(Redirect(" //b:1 "), "http://b:1/api/v1/scheduler");
}

TEST(EndpointTest, RefusesOtherRedirects) {
  EXPECT_THAT(Redirect(""), HasSubstr("names no host"));
  EXPECT_THAT(Redirect("host:5050"), HasSubstr("names no host"));
  EXPECT_THAT(Redirect("//"), HasSubstr("names no host"));
  EXPECT_THAT(Redirect("ftp://b"), HasSubstr("neither http nor https"));
  EXPECT_THAT(Redirect("//user@b:1"), HasSubstr("not the name of a host"));
  EXPECT_THAT(Redirect("//b:x/"), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(Redirect("/a b"), HasSubstr("is not a URL"));
  EXPECT_THAT(Redirect("//b/x\r\nHost: c"), HasSubstr("is not a URL"));
}

}  // namespace
}  // namespace kartograph::executor::mesos
