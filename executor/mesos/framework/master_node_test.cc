#include "executor/mesos/framework/master_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "executor/mesos/protocol/mesos.pb.h"

namespace kartograph::executor::mesos {
namespace {

using testing::HasSubstr;
using testing::Optional;

// The endpoint as a text, or the error's.
std::string Parsed(absl::string_view data, absl::string_view name = "json.info_0000000001") {
  absl::StatusOr<Endpoint> parsed = ParseMasterNode(name, data);
  if (parsed.ok()) return parsed->ToString();
  EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << parsed.status();
  EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(std::string(name)));
  return std::string(parsed.status().message());
}

TEST(MasterNodeTest, TheFirstLeads) {
  EXPECT_THAT(LeadingNode({"json.info_0000000012", "json.info_0000000009", "json.info_0000000010"}),
              Optional<std::string>("json.info_0000000009"));
  EXPECT_THAT(LeadingNode({"json.info_0000000002", "info_0000000001"}),
              Optional<std::string>("info_0000000001"));
  // ZooKeeper's counter wraps around.
  EXPECT_THAT(LeadingNode({"json.info_2147483647", "json.info_-000000009"}),
              Optional<std::string>("json.info_-000000009"));
}

TEST(MasterNodeTest, OtherNodesAreNoMasters) {
  EXPECT_EQ(LeadingNode({}), std::nullopt);
  EXPECT_EQ(LeadingNode({"log_replicas", "0000000001", "json.info_", "json.info_x", "x_1"}),
            std::nullopt);
  EXPECT_THAT(LeadingNode({"log_replicas_0000000000", "json.info_0000000004"}),
              Optional<std::string>("json.info_0000000004"));
}

TEST(MasterNodeTest, ReadsWhatMastersWrite) {
  EXPECT_EQ(Parsed(R"({"address":{"hostname":"m1.example","ip":"10.0.0.1","port":5050},
                       "capabilities":[{"type":"AGENT_UPDATE"}],
                       "domain":{"fault_domain":{"region":{"name":"r"},"zone":{"name":"z"}}},
                       "hostname":"m1.example","id":"b9f3","ip":16777226,
                       "pid":"master@10.0.0.1:5050","port":5050,"version":"1.11.0"})"),
            "http://10.0.0.1:5050");
  EXPECT_EQ(Parsed(R"({"address":{"ip":"2001:db8::1","port":5050}})"), "http://[2001:db8::1]:5050");
  EXPECT_EQ(Parsed(R"({"address":{"hostname":"m1","port":5050}})"), "http://m1:5050");
  EXPECT_EQ(Parsed(R"({"hostname":"m1","ip":16777226,"port":5051})"), "http://10.0.0.1:5051");
  EXPECT_EQ(Parsed(R"({"hostname":"m1","port":5051})"), "http://m1:5051");
}

TEST(MasterNodeTest, OverTlsAMasterIsAddressedByName) {
  const auto parsed = [](absl::string_view data) {
    return ParseMasterNode("json.info_0000000001", data, /*tls=*/true)->ToString();
  };
  EXPECT_EQ(parsed(R"({"address":{"hostname":"m1","ip":"10.0.0.1","port":5050}})"),
            "https://m1:5050");
  EXPECT_EQ(parsed(R"({"address":{"ip":"10.0.0.1","port":5050}})"), "https://10.0.0.1:5050");
}

TEST(MasterNodeTest, ReadsWhatOldMastersWrite) {
  kartograph::mesos::MasterInfo info;
  info.set_ip(16777226);
  info.set_port(5050);
  EXPECT_EQ(Parsed(info.SerializeAsString(), "info_0000000001"), "http://10.0.0.1:5050");
  EXPECT_THAT(Parsed("nonsense", "info_0000000001"), HasSubstr("is not a MasterInfo"));
}

TEST(MasterNodeTest, SaysWhatIsWrong) {
  for (const char* data : {"", "nonsense", "[]", "{\"address\":5}", "{\"address\"", "\"x\""}) {
    EXPECT_THAT(Parsed(data), HasSubstr("is not a MasterInfo in JSON")) << data;
  }
  EXPECT_EQ(Parsed("{\"address\"").find('\n'), std::string::npos);
  EXPECT_THAT(Parsed("{}"), HasSubstr("names no host"));
  EXPECT_THAT(Parsed(R"({"address":{"port":5050}})"), HasSubstr("names no host"));
  EXPECT_THAT(Parsed(R"({"address":{"ip":"10.0.0.1"}})"), HasSubstr("names no port"));
  EXPECT_THAT(Parsed(R"({"address":{"ip":"10.0.0.1","port":65536}})"), HasSubstr("names no port"));
}

}  // namespace
}  // namespace kartograph::executor::mesos
