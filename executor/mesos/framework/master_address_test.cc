#include "executor/mesos/framework/master_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kartograph::executor::mesos {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string ErrorOf(absl::string_view text) {
  absl::StatusOr<MasterAddress> address = ParseMasterAddress(text);
  EXPECT_TRUE(absl::IsInvalidArgument(address.status())) << text;
  return std::string(address.status().message());
}

TEST(MasterAddressTest, ReadsMasters) {
  absl::StatusOr<MasterAddress> address = ParseMasterAddress("http://a:1,b,[::1]:5051,[::2]");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_FALSE(address->zookeeper);
  EXPECT_FALSE(address->tls);
  EXPECT_THAT(address->hosts, ElementsAre(HostPort{"a", 1}, HostPort{"b", 5050},
                                          HostPort{"::1", 5051}, HostPort{"::2", 5050}));
  EXPECT_EQ(address->path, "");
  EXPECT_EQ(address->ToString(), "http://a:1,b:5050,[::1]:5051,[::2]:5050");
}

TEST(MasterAddressTest, ReadsMastersWithTls) {
  absl::StatusOr<MasterAddress> address = ParseMasterAddress("https://master.example/");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_TRUE(address->tls);
  EXPECT_EQ(address->ToString(), "https://master.example:5050");
}

TEST(MasterAddressTest, ReadsZookeepers) {
  absl::StatusOr<MasterAddress> address = ParseMasterAddress("zk://a,b:2182,[::1]/mesos/east/");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_TRUE(address->zookeeper);
  EXPECT_THAT(address->hosts,
              ElementsAre(HostPort{"a", 2181}, HostPort{"b", 2182}, HostPort{"::1", 2181}));
  EXPECT_EQ(address->path, "/mesos/east");
  EXPECT_EQ(address->user, "");
  EXPECT_EQ(address->ToString(), "zk://a:2181,b:2182,[::1]:2181/mesos/east");
}

TEST(MasterAddressTest, ReadsAUserOfZookeeper) {
  absl::StatusOr<MasterAddress> address = ParseMasterAddress("zk://me:my:p@ss@a/mesos");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->user, "me");
  EXPECT_EQ(address->password, "my:p@ss");
  EXPECT_THAT(address->hosts, ElementsAre(HostPort{"a", 2181}));
  EXPECT_EQ(address->ToString(), "zk://me@a:2181/mesos");
}

TEST(MasterAddressTest, SaysWhatWouldBeRight) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("begins with http://, https:// or zk://"));
  EXPECT_THAT(ErrorOf("host:5050"), HasSubstr("such as http://host:5050"));
  EXPECT_THAT(ErrorOf("ftp://host"), HasSubstr("not with \"ftp://\""));
  EXPECT_THAT(ErrorOf("http://"), HasSubstr("names no host"));
  EXPECT_THAT(ErrorOf("http:///"), HasSubstr("names no host"));
  EXPECT_THAT(ErrorOf("http://a,"), HasSubstr("names no host"));
  EXPECT_THAT(ErrorOf("http://a:0"), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(ErrorOf("http://a:5050/mesos"),
              AllOf(HasSubstr("leave \"/mesos\" out"), HasSubstr("zk://")));
  EXPECT_THAT(ErrorOf("http://a,http://b"), HasSubstr("scheme stands once"));
  EXPECT_THAT(ErrorOf("http://me:secret@a"),
              AllOf(HasSubstr("credentials"), Not(HasSubstr("secret"))));
}

TEST(MasterAddressTest, SaysWhatWouldBeRightForZookeeper) {
  EXPECT_THAT(ErrorOf("zk://a:2181"), HasSubstr("zk://host:2181,host:2181/mesos"));
  EXPECT_THAT(ErrorOf("zk://a/"), HasSubstr("comes the path"));
  EXPECT_THAT(ErrorOf("zk:///mesos"), HasSubstr("names no host"));
  EXPECT_THAT(ErrorOf("zk://a/mesos,b/mesos"), HasSubstr("once, after the last host"));
  EXPECT_THAT(ErrorOf("zk://a//b"), HasSubstr("not a path in ZooKeeper"));
  EXPECT_THAT(ErrorOf("zk://a/b/../c"), HasSubstr("not a path in ZooKeeper"));
  EXPECT_THAT(ErrorOf("zk://a:x/b"), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(ErrorOf("zk://me@a/b"), HasSubstr("user:password"));
  EXPECT_THAT(ErrorOf("zk://me:secret@/b"), Not(HasSubstr("secret")));
  EXPECT_THAT(ErrorOf("zk://me:se/cret@a/b"), AllOf(HasSubstr("no /"), Not(HasSubstr("cret"))));
}

}  // namespace
}  // namespace kartograph::executor::mesos
