#include "service/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/state_folder.h"
#include "service/config/settings.h"

namespace kartograph::service {
namespace {

using planner::Quantity;
using planner::Resource;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string WriteFile(const std::string& name, const std::string& text) {
  std::string path = absl::StrCat(testing::TempDir(), "/", name);
  std::ofstream(path) << text;
  return path;
}

std::vector<std::string> ProblemsOf(const std::vector<std::string>& arguments) {
  const absl::StatusOr<CommandLine> parsed = ParseCommandLine(arguments);
  if (parsed.ok()) return {};
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
  return absl::StrSplit(std::string(parsed.status().message()), '\n');
}

TEST(ConfigTest, HasDefaultsForEverythingButTheState) {
  const auto parsed = ParseCommandLine({"--state", "/s"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const ServiceConfig& config = parsed->config;
  EXPECT_EQ(config.state, "/s");
  EXPECT_EQ(config.grpc.ToString(), "127.0.0.1:50061");
  EXPECT_EQ(config.http.ToString(), "127.0.0.1:50062");
  EXPECT_FALSE(config.cpu.has_value());
  EXPECT_FALSE(config.ram.has_value());
  EXPECT_TRUE(config.pools.empty());
  EXPECT_EQ(config.max_graph_tasks, 1'000'000u);
  EXPECT_EQ(config.retention, absl::InfiniteDuration());
  EXPECT_FALSE(config.drain);
  EXPECT_EQ(config.log_level, "info");
}

TEST(ConfigTest, ReadsEveryFlag) {
  const auto parsed = ParseCommandLine({"--state=/s",
                                        "--grpc",
                                        "[::1]:0",
                                        "--http",
                                        "localhost:80",
                                        "--cluster",
                                        "local",
                                        "--cpu",
                                        "0.5",
                                        "--ram",
                                        "2GiB",
                                        "--resource",
                                        "gpu=2",
                                        "--pool",
                                        "db=4",
                                        "--pool",
                                        "licences=1.5",
                                        "--max-graph-tasks",
                                        "10",
                                        "--max-streams",
                                        "7",
                                        "--max-waiting",
                                        "8",
                                        "--search-schedules",
                                        "0",
                                        "--search-tasks",
                                        "20000",
                                        "--max-blob",
                                        "100MiB",
                                        "--ram-headroom",
                                        "16GiB",
                                        "--retention",
                                        "30d",
                                        "--log-level",
                                        "debug",
                                        "--drain",
                                        "--agent-binary",
                                        "/a"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const ServiceConfig& config = parsed->config;
  EXPECT_EQ(config.grpc.host, "::1");
  EXPECT_EQ(config.grpc.port, 0);
  EXPECT_EQ(config.http.ToString(), "localhost:80");
  EXPECT_EQ(config.cpu, Quantity::FromMilli(500));
  EXPECT_EQ(config.ram, Quantity::Of(int64_t{2} << 30));
  EXPECT_EQ(config.resources.Get(Resource::Named("gpu")), Quantity::Of(2));
  EXPECT_EQ(config.pools.Get(Resource::Named("db")), Quantity::Of(4));
  EXPECT_EQ(config.pools.Get(Resource::Named("licences")), Quantity::FromMilli(1500));
  EXPECT_EQ(config.max_graph_tasks, 10u);
  EXPECT_EQ(config.max_streams, 7u);
  EXPECT_EQ(config.max_waiting, 8u);
  EXPECT_EQ(config.search_schedules, 0u);
  EXPECT_EQ(config.search_tasks, 20000u);
  EXPECT_EQ(config.max_blob_bytes, int64_t{100} << 20);
  EXPECT_EQ(config.ram_headroom, int64_t{16} << 30);
  EXPECT_EQ(config.retention, absl::Hours(720));
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_TRUE(config.drain);
  EXPECT_EQ(config.agent_binary, "/a");
}

ServiceConfig ConfigOf(const std::vector<std::string>& arguments) {
  absl::StatusOr<CommandLine> parsed = ParseCommandLine(arguments);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? parsed->config : ServiceConfig();
}

TEST(ConfigTest, SaysWhatIsSetDifferentlyAndWhatOfThatNeedsARestart) {
  const std::string file = WriteFile("changed.yaml", "pools: {db: 3}\nagent-binary: none\n");
  const ServiceConfig before =
      ConfigOf({"--pool", "db=1", "--pool", "tapes=2", "--slots", "7", "--cpu", "2"});
  const ServiceConfig now =
      ConfigOf({"--config", file, "--pool", "tapes=2", "--retention", "90d", "--cpu", "2"});
  EXPECT_THAT(ChangedSettings(before, now, TakesEffect::kAtOnce),
              ElementsAre("pool db 1 -> 3", "retention default -> 90d", "slots 7 -> default"));
  EXPECT_THAT(ChangedSettings(before, now, TakesEffect::kWithRestart),
              ElementsAre("agent-binary default -> none"));
  EXPECT_THAT(ChangedSettings(now, now, TakesEffect::kAtOnce), ElementsAre());
  // Every setting is compared, those of Mesos and of TLS, too; a switch is off by default.
  EXPECT_THAT(ChangedSettings(ConfigOf({}),
                              ConfigOf({"--mesos-roles", "maps", "--tls-cert", "/c", "--tls-key",
                                        "/k", "--drain"}),
                              TakesEffect::kWithRestart),
              ElementsAre("drain false -> true", "mesos-roles default -> maps",
                          "tls-cert default -> /c", "tls-key default -> /k"));
  EXPECT_THAT(ChangedSettings(ConfigOf({}),
                              ConfigOf({"--config", WriteFile("switch.yaml", "drain: false\n")}),
                              TakesEffect::kWithRestart),
              ElementsAre());
}

TEST(ConfigTest, DoubtsWhatIsHardlyIntended) {
  planner::ResourceVector machine;
  machine.Set(Resource::Cpu(), Quantity::Of(2));
  machine.Set(Resource::Ram(), Quantity::Of(int64_t{9} << 30));  // of 10GiB
  const auto doubts = [&](const std::vector<std::string>& arguments) {
    return DoubtfulSettings(ConfigOf(arguments), machine);
  };
  EXPECT_THAT(doubts({}), ElementsAre());
  EXPECT_THAT(doubts({"--cpu", "2", "--ram", "10GiB", "--disk-reserve", "0"}), ElementsAre());
  EXPECT_THAT(doubts({"--cpu", "100"}), ElementsAre("--cpu 100: this machine has 2 cores"));
  EXPECT_THAT(doubts({"--ram", "64GiB"}), ElementsAre("--ram 64GiB: this machine has 10GiB"));
  EXPECT_THAT(doubts({"--ram", "12"}), ElementsAre("--ram 12 is 12 bytes: did you mean 12GiB?"));
  EXPECT_THAT(doubts({"--ram", "4096", "--disk-reserve", "12"}),
              testing::UnorderedElementsAre("--ram 4096 is 4096 bytes: did you mean 4096MiB?",
                                            "--disk-reserve 12 is 12 bytes: did you mean 12MiB?"));
  EXPECT_THAT(doubts({"--ram", "1.5"}),
              ElementsAre("--ram 1.5 is 1.5 bytes: did you mean 1.5GiB?"));
  EXPECT_THAT(doubts({"--ram", "536870912"}), ElementsAre()) << "that is 512MiB";
  EXPECT_THAT(doubts({"--cluster", "mesos:http://m:5050", "--cpu", "100"}), ElementsAre())
      << "its agents are other machines";
}

TEST(ConfigTest, LetsAFlagWinOverTheFile) {
  const std::string file = WriteFile("wins.yaml",
                                     "state: /from-file\n"
                                     "cpu: 3\n"
                                     "ram: 1GiB\n"
                                     "drain: true\n"
                                     "pools:\n"
                                     "  db: 7\n"
                                     "  licences: 2\n");
  const auto parsed = ParseCommandLine({"--config", file, "--cpu", "2", "--pool", "licences=5"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.state, "/from-file");
  EXPECT_EQ(parsed->config.cpu, Quantity::Of(2));
  EXPECT_EQ(parsed->config.ram, Quantity::Of(1 << 30));
  EXPECT_TRUE(parsed->config.drain);
  EXPECT_EQ(parsed->config.pools.Get(Resource::Named("db")), Quantity::Of(7));
  EXPECT_EQ(parsed->config.pools.Get(Resource::Named("licences")), Quantity::Of(5));
}

TEST(ConfigTest, TellsAllProblemsOfFlagsAndFileAtOnce) {
  const std::string file = WriteFile("wrong.yaml",
                                     "cpu: many\n"
                                     "colour: blue\n"
                                     "pools: [1, 2]\n"
                                     "resources:\n"
                                     "  gpu: -1\n"
                                     "ram: [1]\n"
                                     "cpu: 1\n");
  EXPECT_THAT(ProblemsOf({"--config", file, "--ram", "5parsecs", "--pool", "db", "--nonsense",
                          "--cluster", "moon"}),
              ElementsAre(HasSubstr("--nonsense"),
                          AllOf(StartsWith(file + ":1: cpu = many"), HasSubstr("cores")),
                          AllOf(StartsWith(file + ":2: colour"), HasSubstr("there are state")),
                          StartsWith(file + ":3: pools"),
                          StartsWith(file + ":5: resources.gpu = -1"), StartsWith(file + ":6: ram"),
                          AllOf(StartsWith(file + ":7: cpu"), HasSubstr("twice")),
                          AllOf(StartsWith("--cluster = moon"), HasSubstr("local")),
                          AllOf(StartsWith("--ram = 5parsecs"), HasSubstr("GiB")),
                          AllOf(StartsWith("--pool = db"), HasSubstr("NAME=NUMBER"))));
}

TEST(ConfigTest, SaysWhereAFileIsNotYaml) {
  const std::string file = WriteFile("broken.yaml", "state: /s\ncpu: [\n");
  EXPECT_THAT(ProblemsOf({"--config", file}),
              ElementsAre(AllOf(StartsWith(file), HasSubstr("line"), HasSubstr("not YAML"))));
}

TEST(ConfigTest, RefusesASecondDocument) {
  const std::string file = WriteFile("two.yaml", "state: /s\n---\ncpu: 1\n");
  EXPECT_THAT(ProblemsOf({"--config", file}),
              ElementsAre(AllOf(StartsWith(file + ":3: "), HasSubstr("second document"))));
}

TEST(ConfigTest, NamesKeysThatAreNoWords) {
  const std::string file = WriteFile("keys.yaml", "state: /s\n[cpu]: 1\npools: {a: [1]}\ncpu:\n");
  EXPECT_THAT(ProblemsOf({"--config", file}),
              ElementsAre(StartsWith(file + ":2: : is not a setting"),
                          StartsWith(file + ":3: pools.a = [1]: must be a number"),
                          StartsWith(file + ":4: cpu: must be a single value")));
}

TEST(ConfigTest, TakesNoNameTwice) {
  const std::string file = WriteFile("twice.yaml", "state: /s\npools:\n  db: 1\n  db: 2\n");
  EXPECT_THAT(ProblemsOf({"--config", file}),
              ElementsAre(AllOf(StartsWith(file + ":4: pools.db"), HasSubstr("twice"))));
  // A flag takes the place of what the file says.
  const std::string once = WriteFile("once.yaml", "state: /s\npools: {db: 1}\n");
  EXPECT_THAT(ProblemsOf({"--config", once, "--pool", "db=2"}), ElementsAre());
  EXPECT_THAT(ProblemsOf({"--config", "/nowhere/c.yaml"}),
              testing::Contains(HasSubstr("No such file or directory")));
}

TEST(ConfigTest, TakesAnEmptyFile) {
  EXPECT_THAT(ProblemsOf({"--state", "/s", "--config", WriteFile("empty.yaml", "")}),
              ElementsAre());
  EXPECT_THAT(ProblemsOf({"--state", "/s", "--config", WriteFile("comment.yaml", "# none\n")}),
              ElementsAre());
}

TEST(ConfigTest, NamesAFileThatCannotBeRead) {
  EXPECT_THAT(ProblemsOf({"--state", "/s", "--config", "/no/such/file.yaml"}),
              ElementsAre(HasSubstr("/no/such/file.yaml")));
  EXPECT_THAT(ProblemsOf({"--state", "/s", "--config", "/"}), ElementsAre(HasSubstr("--config")));
  const std::string large = WriteFile("large.yaml", std::string((4 << 20) + 1, '#'));
  EXPECT_THAT(ProblemsOf({"--state", "/s", "--config", large}),
              ElementsAre(HasSubstr("more than 4194304 bytes")));
}

TEST(ConfigTest, ReadsTheInstancesOfAResource) {
  const Resource gpu = Resource::Named("gpu"), fpga = Resource::Named("fpga");
  const std::string file = WriteFile("instances.yaml",
                                     "resources:\n"
                                     "  gpu: [0, 1]\n"
                                     "  fpga: [GPU-8932f937, \"0000:0a:00.0\"]\n");
  auto parsed = ParseCommandLine({"--config", file});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.resources.Get(gpu), Quantity::Of(2));
  EXPECT_THAT(parsed->config.instances[gpu], ElementsAre("0", "1"));
  EXPECT_THAT(parsed->config.instances[fpga], ElementsAre("GPU-8932f937", "0000:0a:00.0"));
  // A flag takes the place of what the file says, whether it counts or names.
  parsed =
      ParseCommandLine({"--config", file, "--resource", "gpu=3", "--resource", "fpga=[a,b,c]"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.resources.Get(gpu), Quantity::Of(3));
  EXPECT_FALSE(parsed->config.instances.contains(gpu));
  EXPECT_EQ(parsed->config.resources.Get(fpga), Quantity::Of(3));
}

TEST(ConfigTest, SaysWhatIsWrongWithInstances) {
  EXPECT_THAT(ProblemsOf({"--resource", "gpu=[0,0]"}),
              ElementsAre("--resource = gpu=[0,0]: names the instance 0 twice; name each once"));
  EXPECT_THAT(ProblemsOf({"--resource", "cpu=[0,1]"}), ElementsAre(HasSubstr("of their own")));
  EXPECT_THAT(ProblemsOf({"--pool", "db=[0,1]"}), ElementsAre(HasSubstr("must be a number")));
  const std::string file = WriteFile("instances.yaml",
                                     "resources:\n"
                                     "  gpu: []\n"
                                     "  fpga: [\"0,1\"]\n"
                                     "  tpu: [[0], 1]\n"
                                     "  npu: [a b]\n");
  EXPECT_THAT(
      ProblemsOf({"--config", file}),
      ElementsAre(AllOf(StartsWith(file + ":2: resources.gpu = []"), HasSubstr("has no instances")),
                  StartsWith(file + ":3: resources: must be names and numbers, such as `gpu: 2`"),
                  StartsWith(file + ":4: resources: must be names and numbers, such as `gpu: 2`"),
                  AllOf(StartsWith(file + ":5: resources.npu = [a b]"),
                        HasSubstr("cannot be the name of an instance"))));
}

TEST(ConfigTest, OnMesosInstancesAreNumbered) {
  const auto parsed = ParseCommandLine({"--mesos-indexed", "gpus,fpga"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->config.mesos.indexed,
              ElementsAre(Resource::Named("gpus"), Resource::Named("fpga")));
  EXPECT_THAT(ProblemsOf({"--mesos-indexed", "gpus,gpus"}), ElementsAre(HasSubstr("twice")));
  EXPECT_THAT(ProblemsOf({"--mesos-indexed", "cpu"}), ElementsAre(HasSubstr("have no instances")));
  EXPECT_THAT(ProblemsOf({"--mesos-indexed", ""}), ElementsAre(HasSubstr("valid resource name")));
  EXPECT_THAT(ProblemsOf({"--cluster", "mesos:http://m:5050", "--mesos-indexed", "gpus", "--pool",
                          "gpus=3"}),
              ElementsAre(HasSubstr("--mesos-indexed: gpus is a pool")));
}

class WrongFlagTest : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(WrongFlagTest, IsNamedAlone) {
  std::vector<std::string> arguments = {"--state", "/s"};
  arguments.insert(arguments.end(), GetParam().begin(), GetParam().end());
  EXPECT_THAT(ProblemsOf(arguments), ElementsAre(HasSubstr(GetParam()[0])));
}

INSTANTIATE_TEST_SUITE_P(
    ConfigTest, WrongFlagTest,
    testing::Values(
        std::vector<std::string>{"--cpu", "-1"}, std::vector<std::string>{"--cpu", "0"},
        std::vector<std::string>{"--cpu", "nan"}, std::vector<std::string>{"--cpu", "inf"},
        std::vector<std::string>{"--cpu", "many"}, std::vector<std::string>{"--cpu"},
        std::vector<std::string>{"--cpu", "1", "--cpu", "2"},
        std::vector<std::string>{"--ram", "lots"}, std::vector<std::string>{"--ram", "-1"},
        std::vector<std::string>{"--pool", "=3"}, std::vector<std::string>{"--pool", "db=-1"},
        std::vector<std::string>{"--pool", "db=nan"}, std::vector<std::string>{"--pool", "cpu=1"},
        std::vector<std::string>{"--pool", "gpu=1", "--resource", "gpu=2"},
        std::vector<std::string>{"--pool", "db=1", "--pool", "db=1"},
        std::vector<std::string>{"--resource", "gpu=1", "--resource", "gpu=2"},
        std::vector<std::string>{"--grpc", "nowhere"}, std::vector<std::string>{"--grpc", "::1:80"},
        std::vector<std::string>{"--http", "127.0.0.1:99999"},
        std::vector<std::string>{"--http", "127.0.0.1:50061"},
        std::vector<std::string>{"--max-graph-tasks", "0"},
        std::vector<std::string>{"--max-graph-tasks", "1048577"},
        std::vector<std::string>{"--max-streams", "0"},
        std::vector<std::string>{"--max-waiting", "1000001"},
        std::vector<std::string>{"--search-schedules", "-1"},
        std::vector<std::string>{"--search-tasks", "0"},
        std::vector<std::string>{"--search-tasks", "20001"},
        std::vector<std::string>{"--max-blob", "1000"},
        std::vector<std::string>{"--max-blob", "2TiB"},
        std::vector<std::string>{"--retention", "-1h"},
        std::vector<std::string>{"--retention", "soon"},
        std::vector<std::string>{"--retention", "23h"},
        std::vector<std::string>{"--http-host", "maps:80"},
        std::vector<std::string>{"--http-host", "a,,b"}, std::vector<std::string>{"--tls-cert", ""},
        std::vector<std::string>{"--log-level", "loud"}, std::vector<std::string>{"stray"}));

TEST(ConfigTest, HasADefaultStateForEveryUser) {
  const auto parsed = ParseCommandLine({});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.state, DefaultStateFolder());
  EXPECT_THAT(ProblemsOf({"--state="}), ElementsAre(HasSubstr("--state")));
}

TEST(ConfigTest, OtherMachinesReachItOnlyOverTlsOrOnPurpose) {
  for (const char* flag : {"--grpc", "--http"}) {
    for (const char* address :
         {"0.0.0.0:1", "[::]:1", "10.0.0.5:1", "maps.example.org:1", "127.0.0.1.example.org:1"}) {
      EXPECT_THAT(ProblemsOf({flag, address}),
                  ElementsAre(AllOf(StartsWith(absl::StrCat(flag, " = ", address)),
                                    HasSubstr("--tls-cert"), HasSubstr("--insecure"))));
      EXPECT_THAT(ProblemsOf({flag, address, "--insecure"}), ElementsAre());
      EXPECT_THAT(ProblemsOf({flag, address, "--tls-cert", "/c", "--tls-key", "/k"}),
                  ElementsAre());
    }
    EXPECT_THAT(ProblemsOf({flag, "[::1]:1"}), ElementsAre());
  }
}

TEST(ConfigTest, TlsTakesCertificateAndKey) {
  EXPECT_THAT(ProblemsOf({"--tls-cert", "/c"}), ElementsAre(HasSubstr("--tls-key")));
  EXPECT_THAT(ProblemsOf({"--tls-key", "/k"}), ElementsAre(HasSubstr("--tls-cert")));
  EXPECT_THAT(ProblemsOf({"--tls-client-ca", "/a"}), ElementsAre(HasSubstr("--tls-client-ca")));
  const auto parsed = ParseCommandLine({"--tls-cert", "/c", "--tls-key", "/k", "--tls-client-ca",
                                        "/a", "--metrics-open", "--http-host",
                                        "Maps.example.org,10.0.0.1", "--grpc", "127.0.0.1:1"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const AccessConfig& access = parsed->config.access;
  EXPECT_EQ(access.tls_certificate, "/c");
  EXPECT_EQ(access.tls_key, "/k");
  EXPECT_EQ(access.tls_client_ca, "/a");
  EXPECT_THAT(access.http_hosts, ElementsAre("Maps.example.org", "10.0.0.1"));
  EXPECT_TRUE(access.metrics_open);
  EXPECT_FALSE(access.insecure);
}

TEST(ConfigTest, GrpcMayHaveItsSocketAlone) {
  const auto parsed = ParseCommandLine({"--grpc", "none"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.grpc.host, "");
  EXPECT_THAT(ProblemsOf({"--grpc", "none", "--tls-cert", "/c", "--tls-key", "/k",
                          "--tls-client-ca", "/a"}),
              ElementsAre(HasSubstr("--tls-client-ca")));
}

TEST(ConfigTest, SuggestsTheFlagThatWasMeant) {
  EXPECT_THAT(ProblemsOf({"--sate", "/s"}),
              ElementsAre("--sate: is not known; did you mean --state?"));
  EXPECT_THAT(ProblemsOf({"--stat=/s", "--state", "/s"}),
              ElementsAre("--stat: is not known; did you mean --state?"));
  EXPECT_THAT(ProblemsOf({"/s", "--state", "/s", "--floppies", "2", "more"}),
              ElementsAre("/s: is not known; kartographd --help lists all flags",
                          "--floppies: is not known; kartographd --help lists all flags",
                          "more: is not known; kartographd --help lists all flags"));
}

TEST(ConfigTest, SuggestsTheKeyThatWasMeant) {
  const std::string file = WriteFile("typos.yaml",
                                     "max_graph_tasks: 5\n"
                                     "pool: {db: 1}\n"
                                     "resource: {gpu: 1}\n"
                                     "colour: blue\n");
  EXPECT_THAT(
      ProblemsOf({"--config", file}),
      ElementsAre(file + ":1: max_graph_tasks: is not a setting; did you mean max-graph-tasks?",
                  file + ":2: pool: is not a setting; did you mean pools?",
                  file + ":3: resource: is not a setting; did you mean resources?",
                  StartsWith(file + ":4: colour: is not a setting; there are state, grpc")));
}

TEST(ConfigTest, TakesTrueAndFalseForSwitchesAsGraphFilesDo) {
  const auto problems = [](const std::string& word) {
    return ProblemsOf({"--config", WriteFile("switch.yaml", "drain: " + word + "\n")});
  };
  EXPECT_THAT(problems("true"), ElementsAre());
  EXPECT_THAT(problems("false"), ElementsAre());
  EXPECT_THAT(problems("yes"), ElementsAre(HasSubstr("drain = yes: must be true or false; use "
                                                     "true")));
  EXPECT_THAT(problems("Off"), ElementsAre(HasSubstr("must be true or false; use false")));
  EXPECT_THAT(problems("1"), ElementsAre(HasSubstr("drain = 1: must be true or false")));
}

TEST(ConfigTest, SaysHowAResourceIsWritten) {
  for (const char* text : {"gpu", "gpu:2", "=2", "gpu 2"}) {
    EXPECT_THAT(ProblemsOf({"--resource", text}), ElementsAre(HasSubstr("gpu=2 or gpu=[0,1]")))
        << text;
  }
  for (const char* text : {"gpu=", "gpu=two", "gpu=0,1", "gpu={0,1}", "gpu=a,b", "gpu=0-1,3"}) {
    EXPECT_THAT(
        ProblemsOf({"--resource", text}),
        ElementsAre(HasSubstr("must be a number such as 2, or a list of instances such as [0,1]")))
        << text;
  }
  for (const char* text :
       {"gpu=[0,1", "gpu=[0]1", "gpu=[", "gpu=[]", "gpu=[0,,1]", "gpu=[a b]", "gpu=[0-3]"}) {
    EXPECT_THAT(ProblemsOf({"--resource", text}), ElementsAre(HasSubstr("[0,1"))) << text;
  }
  EXPECT_THAT(ProblemsOf({"--resource", "gpu=2x"}), ElementsAre(HasSubstr("unknown unit \"x\"")));
  EXPECT_THAT(ProblemsOf({"--resource", "gpu=-1"}), ElementsAre(HasSubstr("is negative")));
}

TEST(ConfigTest, HelpNamesEverySetting) {
  const auto parsed = ParseCommandLine({"--help"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  for (const Setting& setting : Settings()) {
    EXPECT_THAT(parsed->print, HasSubstr(absl::StrCat("--", setting.name)));
  }
  EXPECT_THAT(parsed->print, HasSubstr("--config"));
}

TEST(ConfigTest, PrintsTheVersion) {
  const auto parsed = ParseCommandLine({"--version"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->print, StartsWith("kartographd "));
}

TEST(AddressTest, KnowsLoopback) {
  EXPECT_TRUE(ParseAddress("127.0.0.1:1")->IsLoopback());
  EXPECT_TRUE(ParseAddress("[::1]:1")->IsLoopback());
  EXPECT_TRUE(ParseAddress("localhost:1")->IsLoopback());
  EXPECT_TRUE(ParseAddress("127.9.8.7:1")->IsLoopback());
  EXPECT_TRUE(ParseAddress("[0:0::1]:1")->IsLoopback());
  EXPECT_TRUE(ParseAddress("[::ffff:127.0.0.1]:1")->IsLoopback());
  EXPECT_FALSE(ParseAddress("127.0.0.1.example.org:1")->IsLoopback()) << "a name leads anywhere";
  EXPECT_FALSE(ParseAddress("0.0.0.0:1")->IsLoopback());
  EXPECT_FALSE(ParseAddress("[::]:1")->IsLoopback());
  for (const char* all : {"0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1"}) {
    EXPECT_TRUE(ParseAddress(all)->IsWildcard()) << all;
  }
  EXPECT_FALSE(ParseAddress("10.0.0.1:1")->IsWildcard());
  EXPECT_TRUE(ParseAddress("10.0.0.1:1")->IsIp());
  EXPECT_FALSE(ParseAddress("localhost:1")->IsIp());
}

TEST(AddressTest, RefusesWhatIsNone) {
  for (const char* text : {"", ":", "host", "host:", ":80", "host:x", "host:-1", "host:65536",
                           "host:123456", "1::2:80", "a b:1", "[::1]", "host:+1"}) {
    EXPECT_FALSE(ParseAddress(text).ok()) << text;
  }
}

}  // namespace
}  // namespace kartograph::service
