#include "service/config/mesos_settings.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/duration.h"
#include "service/config/setting_text.h"

namespace kartograph::service {
namespace {

absl::Status SetRoles(absl::string_view text, ServiceConfig& config) {
  config.mesos.roles = absl::StrSplit(text, ',');
  std::vector<std::string> seen;
  for (const std::string& role : config.mesos.roles) {
    // What Mesos itself requires of a role, and what an agent's id here can hold.
    if (role.empty() || role == "." || role == ".." || role[0] == '-' ||
        role.find_first_of(" @\t\n\\") != std::string::npos) {
      return Wrong("must be the names of roles with commas between, such as maps,batch");
    }
    for (const std::string& other : seen) {
      if (other == role) return Wrong(absl::StrCat("names ", role, " twice"));
    }
    seen.push_back(role);
  }
  return absl::OkStatus();
}

absl::Status SetFailoverTimeout(absl::string_view text, ServiceConfig& config) {
  const absl::StatusOr<absl::Duration> timeout = ParseDuration(text);
  if (!timeout.ok() || *timeout < absl::Seconds(1) || *timeout > absl::Hours(24 * 365)) {
    return Wrong("must be a duration from 1s to 365d, such as 168h or 7d");
  }
  config.mesos.failover_timeout = *timeout;
  return absl::OkStatus();
}

absl::Status SetQuantity(absl::string_view text, absl::string_view resource,
                         planner::Quantity& value) {
  const absl::StatusOr<planner::Quantity> quantity = planner::ParseQuantity(text, resource);
  if (!quantity.ok()) return quantity.status();
  value = *quantity;
  return absl::OkStatus();
}

absl::Status SetIndexed(absl::string_view text, ServiceConfig& config) {
  config.mesos.indexed.clear();
  for (absl::string_view name : absl::StrSplit(text, ',')) {
    const absl::StatusOr<planner::Resource> resource = planner::Resource::Intern(name);
    if (!resource.ok()) return resource.status();
    if (*resource == planner::Resource::Cpu() || *resource == planner::Resource::Ram()) {
      return Wrong("cpu and ram have no instances; name others, such as gpus");
    }
    if (std::count(config.mesos.indexed.begin(), config.mesos.indexed.end(), *resource) > 0) {
      return Wrong(absl::StrCat("names ", name, " twice"));
    }
    config.mesos.indexed.push_back(*resource);
  }
  return absl::OkStatus();
}

using Kind = Setting::Kind;

constexpr Setting kSettings[] = {
    {"mesos-name", "mesos-name", Kind::kValue, "NAME",
     "Name of the framework on Mesos's pages. Default kartograph.",
     [](absl::string_view text, ServiceConfig& c) { return SetText(text, c.mesos.name); }},
    {"mesos-user", "mesos-user", Kind::kValue, "USER",
     "The user that tasks run as on the agents. Default: the user kartographd runs as.",
     [](absl::string_view text, ServiceConfig& c) { return SetText(text, c.mesos.user); }},
    {"mesos-roles", "mesos-roles", Kind::kValue, "ROLE[,ROLE...]",
     "Roles under which Mesos offers resources. Default *.", SetRoles},
    {"mesos-principal", "mesos-principal", Kind::kValue, "NAME",
     "The principal that kartographd authenticates as. Its secret: --mesos-secret-file, or "
     "the environment variable KARTOGRAPH_MESOS_SECRET.",
     [](absl::string_view text, ServiceConfig& c) { return SetText(text, c.mesos.principal); }},
    {"mesos-secret-file", "mesos-secret-file", Kind::kValue, "FILE",
     "The principal's secret: on its own, after the principal, or as Mesos's JSON.",
     [](absl::string_view text, ServiceConfig& c) { return SetText(text, c.mesos.secret_file); }},
    {"mesos-tls", "mesos-tls", Kind::kSwitch, "",
     "Use TLS with masters that are found in ZooKeeper; for others use https:// in --cluster.",
     [](absl::string_view text, ServiceConfig& c) { return SetSwitch(text, c.mesos.tls); }},
    {"mesos-ca", "mesos-ca", Kind::kValue, "FILE",
     "PEM file of the authorities that sign the certificates of master and agents. Default: the "
     "system's.",
     [](absl::string_view text, ServiceConfig& c) { return SetText(text, c.mesos.ca_file); }},
    {"mesos-failover-timeout", "mesos-failover-timeout", Kind::kValue, "TIME",
     "How long Mesos keeps the tasks of a kartographd that is away. Default 168h.",
     SetFailoverTimeout},
    {"mesos-checkpoint", "mesos-checkpoint", Kind::kValue, "true|false",
     "Whether tasks outlive a restart of their Mesos agent. Default true.",
     [](absl::string_view text, ServiceConfig& c) { return SetSwitch(text, c.mesos.checkpoint); }},
    {"mesos-revocable", "mesos-revocable", Kind::kSwitch, "",
     "Use revocable resources too, which Mesos may take back at any time.",
     [](absl::string_view text, ServiceConfig& c) { return SetSwitch(text, c.mesos.revocable); }},
    {"mesos-advertise", "mesos-advertise", Kind::kValue, "HOST",
     "Name or address under which agents and browsers reach --http. Default: that of --http.",
     [](absl::string_view text, ServiceConfig& c) { return SetText(text, c.mesos.advertise); }},
    {"mesos-executor-path", "mesos-executor-path", Kind::kValue, "FILE",
     "Where kartograph-executor is on the agents. Default: they fetch it from --http.",
     [](absl::string_view text, ServiceConfig& c) { return SetText(text, c.mesos.executor_path); }},
    {"mesos-executor-cpu", "mesos-executor-cpu", Kind::kValue, "N",
     "Cores that kartograph-executor takes for itself on each agent. Default 0.01.",
     [](absl::string_view text, ServiceConfig& c) {
       return SetQuantity(text, "cpu", c.mesos.executor_cpu);
     }},
    {"mesos-executor-ram", "mesos-executor-ram", Kind::kValue, "SIZE",
     "Memory that kartograph-executor takes for itself on each agent. Default 32MiB.",
     [](absl::string_view text, ServiceConfig& c) {
       return SetQuantity(text, "ram", c.mesos.executor_ram);
     }},
    {"mesos-executor-disk", "mesos-executor-disk", Kind::kValue, "SIZE",
     "Disk that kartograph-executor takes for itself on each agent, as room for the logs of ended "
     "attempts: for agents that enforce quotas of disk. Default 0: none is counted.",
     [](absl::string_view text, ServiceConfig& c) {
       return SetQuantity(text, "disk", c.mesos.executor_disk);
     }},
    {"mesos-default-ram", "mesos-default-ram", Kind::kValue, "SIZE",
     "The ram that a task consumes that names none: for agents that limit memory (cgroups/mem). "
     "Default 0: none is counted for it, nor a limit set.",
     [](absl::string_view text, ServiceConfig& c) {
       return SetQuantity(text, "ram", c.mesos.default_ram);
     }},
    {"mesos-indexed", "mesos-indexed", Kind::kValue, "NAME[,NAME...]",
     "Resources of which each task is given instances for itself, numbered from 0 on each agent, "
     "such as gpus. Default none.",
     SetIndexed},
    {"mesos-abandon", "mesos-abandon", Kind::kValue, "ID",
     "Give up the framework of this id, with all that runs under it, and register a new one; "
     "unknown if its id is lost. Without effect once that is done.",
     [](absl::string_view text, ServiceConfig& c) { return SetText(text, c.mesos.abandon); }},
};

}  // namespace

absl::Span<const Setting> MesosSettings() { return kSettings; }

absl::Status CheckMesosConfig(const ServiceConfig& config) {
  if (!config.mesos_master) return absl::OkStatus();
  for (const planner::Resource resource : config.mesos.indexed) {
    if (config.pools.Get(resource).is_zero()) continue;
    return Wrong(absl::StrCat("--mesos-indexed: ", resource.name(),
                              " is a pool; only what an agent has can have instances"));
  }
  if (config.mesos.tls && !config.mesos_master->zookeeper && !config.mesos_master->tls) {
    return Wrong(
        "--mesos-tls: is for masters that are found in ZooKeeper; name these with "
        "mesos:https:// in --cluster");
  }
  if (config.http.port == 0 && config.mesos.executor_path.empty()) {
    return Wrong(
        "--http: needs a port of its own with --cluster mesos:, as the agents fetch "
        "kartograph-executor there; or name the place where they have it with "
        "--mesos-executor-path");
  }
  if (config.mesos.executor_path.empty() || config.mesos.executor_path[0] == '/') {
    return absl::OkStatus();
  }
  return Wrong(absl::StrCat("--mesos-executor-path = ", config.mesos.executor_path,
                            ": must be an absolute path on the agents"));
}

}  // namespace kartograph::service
