#include "tests/mesos/operator_json.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/mesos/agent.h"
#include "tests/mesos/master.h"
#include "tests/mesos/settings.h"

namespace kartograph::stand_in {
namespace {

// The fields are JSON already.
std::string Object(const std::vector<std::pair<std::string, std::string>>& fields) {
  return absl::StrCat("{",
                      absl::StrJoin(fields, ", ",
                                    [](std::string* out, const auto& field) {
                                      absl::StrAppend(out, JsonText(field.first), ": ",
                                                      field.second);
                                    }),
                      "}");
}

std::string Array(const std::vector<std::string>& items) {
  return absl::StrCat("[", absl::StrJoin(items, ", "), "]");
}

std::string Bool(bool value) { return value ? "true" : "false"; }

std::string Amounts(const Pool& pool) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const char* name : {"cpus", "mem", "disk", "gpus"}) {
    fields.emplace_back(name, absl::StrCat(static_cast<double>(pool.Sum(name)) / 1000));
  }
  return Object(fields);
}

std::string CountsJson(const std::map<std::string, int64_t>& counts) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const auto& [name, count] : counts) fields.emplace_back(name, absl::StrCat(count));
  return Object(fields);
}

std::string LatencyJson(const Latency& latency) {
  const auto milliseconds = [&](double of_one) {
    return absl::StrFormat("%.3f", absl::ToDoubleMilliseconds(latency.Percentile(of_one)));
  };
  return Object({{"count", absl::StrCat(latency.count())},
                 {"p50_ms", milliseconds(0.5)},
                 {"p99_ms", milliseconds(0.99)},
                 {"max_ms", milliseconds(1)}});
}

std::string KnownText(Master::Known known) {
  switch (known) {
    case Master::Known::kRegistered:
      return "registered";
    case Master::Known::kRecovered:
      return "recovered";
    case Master::Known::kUnreachable:
      return "unreachable";
    case Master::Known::kGone:
      return "gone";
    case Master::Known::kForgotten:
      return "forgotten";
  }
  return "";
}

std::string AttributesJson(const Agent& agent) {
  std::vector<std::pair<std::string, std::string>> fields;
  const mesos::AgentInfo info = agent.Info();
  for (const mesos::Attribute& attribute : info.attributes()) {
    fields.emplace_back(attribute.name(), attribute.has_text()
                                              ? JsonText(attribute.text().value())
                                              : absl::StrCat(attribute.scalar().value()));
  }
  return Object(fields);
}

std::string FrameworkJson(const Master::Framework& framework) {
  const mesos::FrameworkInfo& info = framework.info;
  std::vector<std::string> roles, capabilities;
  for (const std::string& role : info.roles()) roles.push_back(JsonText(role));
  for (const auto& one : info.capabilities()) {
    capabilities.push_back(JsonText(mesos::FrameworkInfo::Capability::Type_Name(one.type())));
  }
  return Object({{"id", JsonText(framework.id())},
                 {"name", JsonText(info.name())},
                 {"user", JsonText(info.user())},
                 {"hostname", JsonText(info.hostname())},
                 {"webui_url", JsonText(info.webui_url())},
                 {"principal", JsonText(info.principal())},
                 {"failover_timeout", absl::StrCat(info.failover_timeout())},
                 {"checkpoint", Bool(info.checkpoint())},
                 {"active", Bool(framework.stream != nullptr)},
                 {"connected", Bool(framework.stream != nullptr)},
                 {"roles", Array(roles)},
                 {"capabilities", Array(capabilities)}});
}

std::string AgentOfMaster(const std::string& id, const Master::AgentRecord& record) {
  return Object({{"id", JsonText(id)},
                 {"hostname", JsonText(record.agent->hostname())},
                 {"port", absl::StrCat(record.agent->port())},
                 {"pid", JsonText(absl::StrCat("slave(1)@127.0.0.1:", record.agent->port()))},
                 {"attributes", AttributesJson(*record.agent)},
                 {"resources", Amounts(record.agent->total())},
                 {"used_resources", Amounts(record.used)},
                 {"most_used", Amounts(record.most_used)},
                 {"state", JsonText(KnownText(record.known))},
                 {"active", Bool(record.known == Master::Known::kRegistered && record.connected)},
                 {"offers", absl::StrCat(record.offers.size())},
                 {"executors", absl::StrCat(record.executors.size())},
                 {"tasks", absl::StrCat(record.tasks.size())},
                 {"running", absl::StrCat(record.agent->tasks().size())}});
}

std::string ExecutorJson(const Agent::Executor& executor) {
  std::vector<std::string> tasks;
  for (const std::string& task : executor.tasks) tasks.push_back(JsonText(task));
  return Object({{"id", JsonText(executor.id)},
                 {"name", JsonText(executor.info.name())},
                 {"container", JsonText(executor.run_id)},
                 {"directory", JsonText(executor.directory)},
                 {"pid", absl::StrCat(executor.process ? executor.process->pid() : 0)},
                 {"type", JsonText(executor.command ? "DEFAULT" : "CUSTOM")},
                 {"task_ids", Array(tasks)}});
}

}  // namespace

std::string JsonText(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppend(&out, absl::StrFormat("\\u%04x", static_cast<int>(c)));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::optional<std::string> OperatorJson(const Master& master, const std::string& path) {
  std::vector<std::string> items;
  if (path == "/slaves" || path == "/state") {
    for (const auto& [id, record] : master.agents()) items.push_back(AgentOfMaster(id, record));
    if (path == "/slaves") return Object({{"slaves", Array(items)}});
  }
  if (path == "/frameworks" || path == "/state") {
    std::vector<std::string> frameworks;
    for (const auto& [id, framework] : master.frameworks()) {
      frameworks.push_back(FrameworkJson(framework));
    }
    if (path == "/frameworks") {
      return Object({{"frameworks", Array(frameworks)}, {"completed_frameworks", "[]"}});
    }
    return Object({{"id", JsonText(master.id())},
                   {"version", JsonText("1.11.0")},
                   {"slaves", Array(items)},
                   {"frameworks", Array(frameworks)}});
  }
  if (path == "/version") return Object({{"version", JsonText("1.11.0")}});
  if (path == "/health") return "";
  return std::nullopt;
}

std::string AgentJson(const Agent& agent) {
  std::map<std::string, std::pair<std::vector<std::string>, std::vector<std::string>>> frameworks;
  for (const auto& [id, info] : agent.frameworks()) frameworks[id];
  for (const auto& [key, executor] : agent.executors()) {
    frameworks[executor->framework_id].first.push_back(ExecutorJson(*executor));
  }
  for (const auto& executor : agent.completed()) {
    frameworks[executor->framework_id].second.push_back(ExecutorJson(*executor));
  }
  std::vector<std::string> items;
  for (const auto& [id, executors] : frameworks) {
    items.push_back(Object({{"id", JsonText(id)},
                            {"executors", Array(executors.first)},
                            {"completed_executors", Array(executors.second)}}));
  }
  return Object({{"id", JsonText(agent.id())},
                 {"hostname", JsonText(agent.hostname())},
                 {"version", JsonText("1.11.0")},
                 {"attributes", AttributesJson(agent)},
                 {"resources", Amounts(agent.total())},
                 {"frameworks", Array(items)},
                 {"completed_frameworks", "[]"}});
}

std::string StateJson(const Master& master, const Counters& counters) {
  std::vector<std::string> agents, frameworks, tasks, offers;
  for (const auto& agent : master.all_agents()) {
    agents.push_back(AgentOfMaster(agent->id(), master.agents().at(agent->id())));
  }
  for (const auto& [id, framework] : master.frameworks()) {
    frameworks.push_back(FrameworkJson(framework));
    for (const auto* map : {&framework.tasks, &framework.unreachable}) {
      for (const auto& [task_id, task] : *map) {
        tasks.push_back(Object({{"id", JsonText(task_id)},
                                {"framework_id", JsonText(id)},
                                {"agent_id", JsonText(task->agent_id)},
                                {"executor_id", JsonText(task->executor_id)},
                                {"state", JsonText(mesos::TaskState_Name(task->state))},
                                {"unreachable", Bool(map == &framework.unreachable)}}));
      }
    }
  }
  for (const auto& [id, offer] : master.offers()) {
    offers.push_back(Object({{"id", JsonText(id)},
                             {"framework_id", JsonText(offer.framework_id)},
                             {"agent_id", JsonText(offer.agent_id)},
                             {"role", JsonText(offer.role)},
                             {"resources", Amounts(offer.resources)}}));
  }
  return Object({{"id", JsonText(master.id())},
                 {"agents", Array(agents)},
                 {"frameworks", Array(frameworks)},
                 {"tasks", Array(tasks)},
                 {"offers", Array(offers)},
                 {"calls", CountsJson(counters.calls)},
                 {"refused", CountsJson(counters.refused)},
                 {"events", CountsJson(counters.events)},
                 {"update_states", CountsJson(counters.update_states)},
                 {"counters", CountsJson({{"offers", counters.offers},
                                          {"launched", counters.launched},
                                          {"repeated_updates", counters.repeated_updates},
                                          {"redundant_launches", counters.redundant_launches},
                                          {"invalid_offers", counters.invalid_offers},
                                          {"overpromised", counters.overpromised},
                                          {"executor_messages", counters.executor_messages},
                                          {"framework_messages", counters.framework_messages},
                                          {"downloads", counters.downloads}})},
                 {"offer_to_accept", LatencyJson(counters.offer_to_accept)},
                 {"end_to_acknowledge", LatencyJson(counters.end_to_acknowledge)}});
}

}  // namespace kartograph::stand_in
