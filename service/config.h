// How kartographd is told what to do: flags, and a YAML file with the same settings.
#ifndef KARTOGRAPH_SERVICE_CONFIG_H_
#define KARTOGRAPH_SERVICE_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "planner/resources.h"
#include "service/address.h"

namespace kartograph::service {

struct ServiceConfig {
  std::string state;  // folder of everything that must survive
  Address grpc{"127.0.0.1", 50061};
  Address http{"127.0.0.1", 50062};
  // What this machine offers; nothing: all it has.
  std::optional<planner::Quantity> cpu;
  std::optional<planner::Quantity> ram;
  planner::ResourceVector resources;  // besides cpu and ram
  planner::ResourceVector pools;
  uint32_t max_graph_tasks = 1'000'000;
  absl::Duration retention = absl::InfiniteDuration();
  std::string log_level = "info";
  bool drain = false;
  std::string agent_binary;  // empty: found beside kartographd
};

struct CommandLine {
  ServiceConfig config;
  // Where not empty, there is nothing to do but to print this (--help, --version).
  std::string print;
};

// InvalidArgument with every problem of flags and file, a line each.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONFIG_H_
