// The settings of kartographd: flags, and a YAML file with the same ones.
#ifndef KARTOGRAPH_SERVICE_CONFIG_CONFIG_H_
#define KARTOGRAPH_SERVICE_CONFIG_CONFIG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "executor/disk_limits.h"
#include "executor/memory_limits.h"
#include "executor/mesos/framework/master_address.h"
#include "planner/cap.h"
#include "planner/instances.h"
#include "planner/resources.h"
#include "service/config/address.h"

namespace kartograph::service {

// What kartographd is to Mesos.
struct MesosConfig {
  std::string name = "kartograph";
  std::string user;  // empty: the one kartographd runs as
  std::vector<std::string> roles = {"*"};
  std::string principal;
  std::string secret_file;
  bool tls = false;  // to masters that are found in ZooKeeper
  std::string ca_file;
  absl::Duration failover_timeout = absl::Hours(24 * 7);
  bool checkpoint = true;
  bool revocable = false;
  std::string advertise;      // host under which agents and browsers reach --http
  std::string executor_path;  // on the agents; empty: they fetch it from here
  planner::Quantity executor_cpu = planner::Quantity::FromMilli(10);
  planner::Quantity executor_ram = planner::Quantity::Of(32 << 20);
  planner::Quantity executor_disk;  // for logs of ended attempts
  planner::Quantity default_ram;    // of a task that names none
  std::string abandon;
  std::vector<planner::Resource> indexed;  // handed out by number, from 0 on each agent
};

// Who may use the service from where.
struct AccessConfig {
  // Files in PEM; empty: no TLS.
  std::string tls_certificate;
  std::string tls_key;
  std::string tls_client_ca;  // of gRPC's clients; empty: they need no certificate
  bool insecure = false;      // other machines may connect without TLS
  // Names under which browsers reach --http besides its own; the first one is used in links.
  std::vector<std::string> http_hosts;
  bool metrics_open = false;
};

// In the place of the agent's program: it is started by somebody else, such as systemd.
inline constexpr char kNoAgentBinary[] = "none";

struct ServiceConfig {
  // The texts of what flags and file set, by the setting's name ("slots"), or that and the name in
  // it ("pool db_connections"): for what is said about them.
  std::map<std::string, std::string> given;
  std::string state;                 // folder of everything that must survive
  Address grpc{"127.0.0.1", 50061};  // without a host: only on the socket in the state folder
  Address http{"127.0.0.1", 50062};
  // What this machine offers; nothing: all it has.
  std::optional<planner::Quantity> cpu;
  std::optional<planner::Quantity> ram;
  planner::ResourceVector resources;              // besides cpu and ram
  planner::InstanceLists instances;               // of those of them that are indexed
  std::map<std::string, std::string> attributes;  // of this machine, for constraints
  planner::ResourceVector pools;
  std::map<std::string, double> shares;  // weights of users, and of "@NAME" those of named shares
  // How long a task waits before preemptible ones of lower priority are ended for it.
  absl::Duration preempt_after = absl::InfiniteDuration();
  std::map<std::string, planner::Cap> limits;  // likewise; "*": of all others
  executor::DiskLimits disk_limits;
  int64_t ram_headroom = executor::RamHeadroom::kUsual;  // bytes
  uint32_t max_graph_tasks = 1'000'000;
  uint32_t max_streams = 1000;
  int64_t max_blob_bytes = int64_t{64} << 20;
  uint32_t max_waiting = 10'000;
  uint32_t slots = 1000;
  uint32_t search_schedules = 2000;  // 0: no order is searched for
  uint32_t search_tasks = 3000;
  // Of graphs that have ended: how long, how many and up to how many bytes they are kept.
  absl::Duration retention = absl::InfiniteDuration();
  std::optional<uint32_t> retention_graphs;
  std::optional<int64_t> retention_bytes;
  bool accept_lost_history = false;
  std::string log_level = "info";
  bool drain = false;
  std::string agent_binary;  // empty: found beside kartographd; or kNoAgentBinary
  // Where the tasks run on Mesos; nothing: on this machine.
  std::optional<executor::mesos::MasterAddress> mesos_master;
  AccessConfig access;
  MesosConfig mesos;
};

struct CommandLine {
  ServiceConfig config;
  // Where not empty, there is nothing to do but to print this (--help, --version).
  std::string print;
};

// What is set differently, such as "slots 1000 -> 7": of the settings that a running service takes
// over, or of the others.
enum class TakesEffect { kAtOnce, kWithRestart };
std::vector<std::string> ChangedSettings(const ServiceConfig& before, const ServiceConfig& now,
                                         TakesEffect when);

// What is valid and hardly intended, each with what may be meant: more than `machine` has
// (DetectResources), sizes without a unit.
std::vector<std::string> DoubtfulSettings(const ServiceConfig& config,
                                          const planner::ResourceVector& machine);

// InvalidArgument with every problem of flags and file, a line each.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONFIG_CONFIG_H_
