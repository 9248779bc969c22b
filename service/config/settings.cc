#include "service/config/settings.h"

#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/duration.h"
#include "base/utf8.h"
#include "executor/memory_limits.h"
#include "planner/constraints.h"
#include "planner/fair_share.h"
#include "planner/ids.h"
#include "planner/names.h"
#include "service/config/access_settings.h"
#include "service/config/mesos_settings.h"
#include "service/config/setting_text.h"

namespace kartograph::service {
namespace {

absl::Status SetAddress(absl::string_view text, Address& value) {
  absl::StatusOr<Address> address = ParseAddress(text);
  if (!address.ok()) return address.status();
  value = *std::move(address);
  return absl::OkStatus();
}

absl::Status SetGrpc(absl::string_view text, ServiceConfig& config) {
  if (text != "none") return SetAddress(text, config.grpc);
  config.grpc = Address();
  return absl::OkStatus();
}

absl::Status SetCluster(absl::string_view text, ServiceConfig& config) {
  config.mesos_master.reset();
  if (text == "local") return absl::OkStatus();
  if (!absl::ConsumePrefix(&text, "mesos:")) {
    return Wrong("must be local, or mesos: and its masters, such as mesos:http://host:5050");
  }
  absl::StatusOr<executor::mesos::MasterAddress> address =
      executor::mesos::ParseMasterAddress(text);
  if (!address.ok()) return address.status();
  config.mesos_master = *std::move(address);
  return absl::OkStatus();
}

absl::Status SetCpu(absl::string_view text, ServiceConfig& config) {
  const absl::StatusOr<planner::Quantity> quantity = planner::ParseQuantity(text, "cpu");
  if (!quantity.ok()) return quantity.status();
  if (quantity->is_zero()) return Wrong("must be more than 0");
  config.cpu = *quantity;
  return absl::OkStatus();
}

absl::Status SetRam(absl::string_view text, ServiceConfig& config) {
  const absl::StatusOr<planner::Quantity> quantity = planner::ParseQuantity(text);
  if (!quantity.ok()) return quantity.status();
  if (quantity->is_zero()) return Wrong("must be more than 0");
  config.ram = *quantity;
  return absl::OkStatus();
}

// Splits NAME=VALUE; `form` says what it must be.
absl::Status ReadNamed(absl::string_view text, absl::string_view form, absl::string_view& name,
                       absl::string_view& value) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos || equals == 0) return Wrong(form);
  name = text.substr(0, equals);
  value = absl::StripAsciiWhitespace(text.substr(equals + 1));
  return absl::OkStatus();
}

absl::StatusOr<planner::Resource> InternOther(absl::string_view name) {
  absl::StatusOr<planner::Resource> resource = planner::Resource::Intern(name);
  if (resource.ok() &&
      (*resource == planner::Resource::Cpu() || *resource == planner::Resource::Ram())) {
    return Wrong("cpu and ram have settings of their own: cpu, ram");
  }
  return resource;
}

absl::Status SetQuantityOf(absl::string_view name, absl::string_view value,
                           planner::ResourceVector& vector) {
  const absl::StatusOr<planner::Quantity> quantity = planner::ParseQuantity(value);
  if (!quantity.ok()) return quantity.status();
  const absl::StatusOr<planner::Resource> resource = InternOther(name);
  if (!resource.ok()) return resource.status();
  vector.Set(*resource, *quantity);
  return absl::OkStatus();
}

absl::Status SetPool(absl::string_view text, ServiceConfig& config) {
  absl::string_view name, value;
  constexpr absl::string_view kForm = "must be NAME=NUMBER, such as db_connections=40";
  if (absl::Status status = ReadNamed(text, kForm, name, value); !status.ok()) return status;
  if (absl::StartsWith(value, "[")) {
    return Wrong("must be a number, such as 40; only what an agent has can have instances");
  }
  return SetQuantityOf(name, value, config.pools);
}

absl::Status SetShare(absl::string_view text, ServiceConfig& config) {
  absl::string_view name, value;
  constexpr absl::string_view kForm =
      "must be USER=WEIGHT, or @SHARE=WEIGHT of a share that graphs name, such as alice=2";
  if (absl::Status status = ReadNamed(text, kForm, name, value); !status.ok()) return status;
  absl::string_view word = name;
  absl::ConsumePrefix(&word, "@");
  if (const std::string problem = planner::ShareNameProblem(word); !problem.empty()) {
    return Wrong(absl::StrCat(kForm, "; \"", word, "\" ", problem));
  }
  double weight = 0;
  if (!absl::SimpleAtod(value, &weight) || !(weight >= 0.001) || !(weight <= 1000)) {
    return Wrong("must be a weight of 0.001 to 1000; without it a user or a share has 1");
  }
  config.shares[std::string(name)] = weight;
  return absl::OkStatus();
}

absl::Status SetPreemptAfter(absl::string_view text, ServiceConfig& config) {
  if (text == "never") {
    config.preempt_after = absl::InfiniteDuration();
    return absl::OkStatus();
  }
  const absl::StatusOr<absl::Duration> duration = ParseDuration(text);
  if (!duration.ok() || *duration < absl::Seconds(1) || *duration > absl::Hours(24 * 366)) {
    return Wrong("must be a duration of at least 1s, such as 5m, or never");
  }
  config.preempt_after = *duration;
  return absl::OkStatus();
}

absl::Status SetUsersLimit(absl::string_view text, ServiceConfig& config) {
  absl::string_view name, value;
  constexpr absl::string_view kForm =
      "must be USER:running=N or USER:RESOURCE=N, such as alice:cpu=64, where USER may be @SHARE, "
      "or * for all others";
  if (absl::Status status = ReadNamed(text, kForm, name, value); !status.ok()) return status;
  const size_t colon = name.find(':');
  if (colon == absl::string_view::npos) return Wrong(kForm);
  const absl::string_view user = name.substr(0, colon);
  const absl::string_view what = name.substr(colon + 1);
  absl::string_view word = user;
  absl::ConsumePrefix(&word, "@");
  if (const std::string problem = planner::ShareNameProblem(word);
      user != planner::FairShare::kEverybody && !problem.empty()) {
    return Wrong(absl::StrCat(kForm, "; \"", word, "\" ", problem));
  }
  planner::Cap& cap = config.limits[std::string(user)];
  if (what == planner::Cap::kRunning) {
    if (!absl::SimpleAtoi(value, &cap.running) || cap.running < 1 ||
        cap.running > planner::Cap::kMostRunning) {
      return Wrong(absl::StrCat("must be a whole number from 1 to ", planner::Cap::kMostRunning));
    }
    return absl::OkStatus();
  }
  const absl::StatusOr<planner::Quantity> quantity = planner::ParseQuantity(value, what);
  if (!quantity.ok()) return quantity.status();
  if (quantity->is_zero()) return Wrong("must be more than 0");
  const absl::StatusOr<planner::Resource> resource = planner::Resource::Intern(what);
  if (!resource.ok()) return resource.status();
  cap.resources.Set(*resource, *quantity);
  return absl::OkStatus();
}

absl::Status SetResource(absl::string_view text, ServiceConfig& config) {
  absl::string_view name, value;
  constexpr absl::string_view kForm =
      "must be NAME=NUMBER or NAME=[INSTANCE,...], such as gpu=2 or gpu=[0,1]";
  if (absl::Status status = ReadNamed(text, kForm, name, value); !status.ok()) return status;
  const bool number = !value.empty() && value.find_first_not_of("+-.0123456789") != 0;
  if (!absl::StartsWith(value, "[") && (!number || absl::StrContains(value, ','))) {
    return Wrong("must be a number such as 2, or a list of instances such as [0,1]");
  }
  // A flag replaces what the file says, of whichever kind.
  if (const auto resource = planner::Resource::Find(name)) config.instances.erase(*resource);
  if (!absl::StartsWith(value, "[")) return SetQuantityOf(name, value, config.resources);
  absl::StatusOr<std::vector<std::string>> instances = planner::ParseInstances(value);
  if (!instances.ok()) return instances.status();
  const absl::StatusOr<planner::Resource> resource = InternOther(name);
  if (!resource.ok()) return resource.status();
  config.resources.Set(*resource, planner::Quantity::Of(static_cast<int64_t>(instances->size())));
  config.instances[*resource] = *std::move(instances);
  return absl::OkStatus();
}

absl::Status SetAttribute(absl::string_view text, ServiceConfig& config) {
  constexpr size_t kMost = 64;
  absl::string_view name, value;
  constexpr absl::string_view kForm = "must be NAME=VALUE, such as disk=ssd";
  if (absl::Status status = ReadNamed(text, kForm, name, value); !status.ok()) return status;
  for (absl::string_view part : {name, value}) {
    if (const std::string problem = planner::AttributeValueProblem(part); !problem.empty()) {
      return Wrong(absl::StrCat(kForm, "; \"", part, "\" ", problem));
    }
    if (!IsValidUtf8(part)) return Wrong(absl::StrCat(kForm, ", in UTF-8"));
  }
  if (name == planner::kAgentName || name == planner::kAgentId || name == executor::kMemoryLimits) {
    return Wrong(absl::StrCat(name, " is known of every agent; choose another name"));
  }
  config.attributes[std::string(name)] = std::string(value);
  if (config.attributes.size() <= kMost) return absl::OkStatus();
  return Wrong(absl::StrCat("this machine can have at most ", kMost, " attributes"));
}

absl::Status SetMaxGraphTasks(absl::string_view text, ServiceConfig& config) {
  uint32_t tasks = 0;
  if (!absl::SimpleAtoi(text, &tasks) || tasks == 0 || tasks > planner::kMaxTasks) {
    return Wrong(absl::StrCat("must be a whole number from 1 to ", planner::kMaxTasks));
  }
  config.max_graph_tasks = tasks;
  return absl::OkStatus();
}

template <uint32_t ServiceConfig::*kLimit>
absl::Status SetLimit(absl::string_view text, ServiceConfig& config) {
  constexpr uint32_t kMost = 1000000;
  uint32_t limit = 0;
  if (!absl::SimpleAtoi(text, &limit) || limit == 0 || limit > kMost) {
    return Wrong(absl::StrCat("must be a whole number from 1 to ", kMost));
  }
  config.*kLimit = limit;
  return absl::OkStatus();
}

absl::Status SetSearchSchedules(absl::string_view text, ServiceConfig& config) {
  if (text != "0") return SetLimit<&ServiceConfig::search_schedules>(text, config);
  config.search_schedules = 0;
  return absl::OkStatus();
}

absl::Status SetSearchTasks(absl::string_view text, ServiceConfig& config) {
  constexpr uint32_t kMost = 20000;
  uint32_t limit = 0;
  if (!absl::SimpleAtoi(text, &limit) || limit == 0 || limit > kMost) {
    return Wrong(absl::StrCat("must be a whole number from 1 to ", kMost));
  }
  config.search_tasks = limit;
  return absl::OkStatus();
}

absl::Status SetRetention(absl::string_view text, ServiceConfig& config) {
  if (text == "forever") {
    config.retention = absl::InfiniteDuration();
    return absl::OkStatus();
  }
  const absl::StatusOr<absl::Duration> duration = ParseDuration(text);
  // Answers to writes are kept as long, for those who repeat them.
  if (!duration.ok() || *duration < absl::Hours(24) || *duration > absl::Hours(24 * 366 * 100)) {
    return Wrong("must be a duration of at least a day, such as 30d or 36h, or forever");
  }
  config.retention = *duration;
  return absl::OkStatus();
}

absl::Status SetLogLevel(absl::string_view text, ServiceConfig& config) {
  for (absl::string_view level : {"debug", "info", "warn", "error", "off"}) {
    if (text == level) return SetText(text, config.log_level);
  }
  return Wrong("must be debug, info, warn, error or off");
}

absl::Status SetBytes(absl::string_view text, int64_t& bytes) {
  const absl::StatusOr<planner::Quantity> quantity = planner::ParseQuantity(text);
  if (quantity.ok()) bytes = quantity->milli() / 1000;
  return quantity.status();
}

absl::Status SetRetentionGraphs(absl::string_view text, ServiceConfig& config) {
  uint32_t graphs = 0;
  if (!absl::SimpleAtoi(text, &graphs)) return Wrong("must be a whole number, such as 1000");
  config.retention_graphs = graphs;
  return absl::OkStatus();
}

absl::Status SetRetentionBytes(absl::string_view text, ServiceConfig& config) {
  int64_t bytes = 0;
  if (absl::Status parsed = SetBytes(text, bytes); !parsed.ok()) return parsed;
  // Less than what it takes while it runs would leave nothing.
  if (bytes < int64_t{64} << 20) return Wrong("must be at least 64MiB");
  config.retention_bytes = bytes;
  return absl::OkStatus();
}

absl::Status SetMaxBlob(absl::string_view text, ServiceConfig& config) {
  constexpr int64_t kLeast = int64_t{1} << 20;
  constexpr int64_t kMost = int64_t{1} << 40;
  int64_t bytes = 0;
  if (absl::Status parsed = SetBytes(text, bytes); !parsed.ok()) return parsed;
  if (bytes < kLeast || bytes > kMost) return Wrong("must be from 1MiB to 1TiB");
  config.max_blob_bytes = bytes;
  return absl::OkStatus();
}

absl::Status SetLogLimit(absl::string_view text, ServiceConfig& config) {
  int64_t bytes = 0;
  if (absl::Status parsed = SetBytes(text, bytes); !parsed.ok()) return parsed;
  if (bytes < executor::DiskLimits::kLeastLog) return Wrong("must be at least 64KiB");
  config.disk_limits.log = bytes;
  return absl::OkStatus();
}

absl::Status SetRamHeadroom(absl::string_view text, ServiceConfig& config) {
  if (text == "none") {
    config.ram_headroom = executor::RamHeadroom::kUnlimited;
    return absl::OkStatus();
  }
  return SetBytes(text, config.ram_headroom);
}

using Kind = Setting::Kind;

constexpr Setting kSettings[] = {
    {"state", "state", Kind::kValue, "DIR",
     "Folder of the run history and everything else that must survive; created if it does not "
     "exist. Default: /var/lib/kartograph of root, ~/.local/state/kartograph of others.",
     [](absl::string_view text, ServiceConfig& c) { return SetText(text, c.state); }},
    {"grpc", "grpc", Kind::kValue, "HOST:PORT",
     "Where to listen for gRPC besides the socket in the state folder; port 0 picks a free port, "
     "none listens only on the socket. Default 127.0.0.1:50061.",
     SetGrpc},
    {"http", "http", Kind::kValue, "HOST:PORT",
     "Where to listen for HTTP: status page, API as JSON, metrics. Default 127.0.0.1:50062.",
     [](absl::string_view text, ServiceConfig& c) { return SetAddress(text, c.http); }},
    {"cluster", "cluster", Kind::kValue, "CLUSTER",
     "Where tasks run. Default local: on this machine. On Mesos: mesos:http://host:port[,...] "
     "names "
     "its masters, mesos:zk://host[,...]/path the ZooKeeper that knows them.",
     SetCluster},
    {"cpu", "cpu", Kind::kValue, "N",
     "Cores that tasks on this machine may use. Default: all there are.", SetCpu},
    {"ram", "ram", Kind::kValue, "SIZE",
     "Memory that tasks on this machine may use, such as 12GiB. Default: most of what there is.",
     SetRam},
    {"resource", "resources", Kind::kNamed, "NAME=N",
     "Something else this machine has, such as licences=2, or with a name for each instance, such "
     "as gpu=[0,1]: then each task is given instances for itself. May be given several times.",
     SetResource},
    {"attribute", "attributes", Kind::kNamed, "NAME=VALUE",
     "What tasks can ask of this machine in constraints, such as disk=ssd. May be given several "
     "times.",
     SetAttribute},
    {"pool", "pools", Kind::kNamed, "NAME=N",
     "A resource that all agents share, such as db_connections=40. May be given several times.",
     SetPool, true},
    {"share", "shares", Kind::kNamed, "USER=N",
     "How much of the cluster is due to a user, in relation to others, who have 1 each; @NAME=N is "
     "for the graphs that name a share. May be given several times.",
     SetShare, true},
    {"limit", "limits", Kind::kNamed, "USER:NAME=N",
     "What a user's tasks may hold at once: USER:running=20 is their number, USER:cpu=64 a "
     "resource "
     "or pool. USER may be @NAME, for the graphs that name a share, or * for everybody without "
     "limits of their own. May be given several times. Default: all there is.",
     SetUsersLimit, true},
    {"preempt-after", "preempt-after", Kind::kValue, "TIME",
     "How long a task waits before tasks of lower priority that are marked `preemptible` are ended "
     "for it, to run again later; at least 1s. Default never.",
     SetPreemptAfter, true},
    {"slots", "slots", Kind::kValue, "N",
     "Attempts that run on an agent at once, at most, whatever they consume. Default 1000.",
     SetLimit<&ServiceConfig::slots>, true},
    {"max-graph-tasks", "max-graph-tasks", Kind::kValue, "N",
     "Largest graph that is taken, in tasks. Default 1000000, at most 1048576.", SetMaxGraphTasks},
    {"search-schedules", "search-schedules", Kind::kValue, "N",
     "Schedules that are tried, beside everything else, to order the tasks of a graph better; 0: "
     "none. Default 2000.",
     SetSearchSchedules},
    {"search-tasks", "search-tasks", Kind::kValue, "N",
     "Largest graph for which that is done, in tasks. Default 3000, at most 20000.",
     SetSearchTasks},
    {"max-streams", "max-streams", Kind::kValue, "N",
     "Streams that may be open at once: graphs being submitted, watches, logs. Default 1000.",
     SetLimit<&ServiceConfig::max_streams>},
    {"max-waiting", "max-waiting", Kind::kValue, "N",
     "Calls that may wait for finished tasks at once. Default 10000.",
     SetLimit<&ServiceConfig::max_waiting>},
    {"max-blob", "max-blob", Kind::kValue, "SIZE",
     "Largest blob that is taken: what several tasks read, kept once. Default 64MiB.", SetMaxBlob},
    {"retention", "retention", Kind::kValue, "TIME",
     "How long ended graphs are kept, such as 30d; at least 1d. Default forever.", SetRetention,
     true},
    {"retention-graphs", "retention-graphs", Kind::kValue, "N",
     "How many ended graphs are kept; beyond that, the oldest go. Default all.", SetRetentionGraphs,
     true},
    {"retention-bytes", "retention-bytes", Kind::kValue, "SIZE",
     "While the run history takes more than this, the oldest ended graphs go; at least 64MiB. "
     "Default no limit.",
     SetRetentionBytes, true},
    {"log-limit", "log-limit", Kind::kValue, "SIZE",
     "How much of each task's stdout and stderr is kept: of more, the beginning and the end. "
     "Default 256MiB.",
     SetLogLimit},
    {"disk-reserve", "disk-reserve", Kind::kValue, "SIZE",
     "Free space on the disk of the sandboxes below which no task is started, no output kept and "
     "no "
     "blob taken. "
     "Default: a twentieth of the disk, at most 256MiB.",
     [](absl::string_view text, ServiceConfig& c) {
       return SetBytes(text, c.disk_limits.reserve);
     }},
    {"ram-headroom", "ram-headroom", Kind::kValue, "SIZE",
     "Where memory is limited by measuring: how much more than twice its ram each process of a "
     "task can map; or 'none': any amount. Default 4GiB, or a sixteenth of the machine's memory "
     "where that is more.",
     SetRamHeadroom},
    {"accept-lost-history", "accept-lost-history", Kind::kSwitch, "",
     "Start although the run history has lost its newest part; ids of lost graphs are not used "
     "again.",
     [](absl::string_view text, ServiceConfig& c) {
       return SetSwitch(text, c.accept_lost_history);
     }},
    {"log-level", "log-level", Kind::kValue, "LEVEL",
     "debug, info, warn, error or off; the log goes to stderr. Default info.", SetLogLevel, true},
    {"drain", "drain", Kind::kSwitch, "",
     "On SIGTERM wait until running attempts have ended. Default: leave them running, to be found "
     "again by the next start.",
     [](absl::string_view text, ServiceConfig& c) { return SetSwitch(text, c.drain); }},
    {"agent-binary", "agent-binary", Kind::kValue, "FILE",
     "The program under which the attempts of the local cluster live; none if somebody else, "
     "such as systemd, starts it and kartographd should wait for it. Default: found beside "
     "kartographd.",
     [](absl::string_view text, ServiceConfig& c) { return SetText(text, c.agent_binary); }},
};

}  // namespace

absl::Span<const Setting> Settings() {
  static const std::vector<Setting>& all = *[] {
    auto* settings = new std::vector<Setting>(std::begin(kSettings), std::end(kSettings));
    for (const absl::Span<const Setting> more : {AccessSettings(), MesosSettings()}) {
      settings->insert(settings->end(), more.begin(), more.end());
    }
    return settings;
  }();
  return all;
}

absl::Status Apply(const Setting& setting, absl::string_view text, ServiceConfig& config) {
  if (absl::Status status = setting.apply(text, config); !status.ok()) return status;
  std::string key = setting.name;
  if (setting.kind == Kind::kNamed) {
    const size_t equals = text.find('=');
    absl::StrAppend(&key, " ", text.substr(0, equals));
    text = text.substr(equals + 1);
  }
  config.given[key] = std::string(absl::StripAsciiWhitespace(text));
  return absl::OkStatus();
}

absl::Status CheckConfig(const ServiceConfig& config) {
  if (config.state.empty()) {
    return Wrong("--state: is missing: name the folder of the run history");
  }
  if (config.grpc.port != 0 && config.grpc.ToString() == config.http.ToString()) {
    return Wrong(absl::StrCat("--http = ", config.http.ToString(),
                              ": is already the address of gRPC; choose another port"));
  }
  if (absl::Status status = CheckAccessConfig(config); !status.ok()) return status;
  if (absl::Status status = CheckMesosConfig(config); !status.ok()) return status;
  for (const auto& entry : config.pools) {
    if (config.resources.Get(entry.resource).is_zero()) continue;
    return Wrong(absl::StrCat("--pool = ", entry.resource.name(),
                              ": is already a resource of this machine; choose another name"));
  }
  return absl::OkStatus();
}

}  // namespace kartograph::service
