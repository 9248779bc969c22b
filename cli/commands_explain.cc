// explain, pools, pool set: what tasks wait for, and what they wait for most often.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/duration.h"
#include "cli/all_pages.h"
#include "cli/commands.h"
#include "cli/file_problems.h"
#include "cli/proto_time.h"
#include "cli/report.h"
#include "cli/text.h"
#include "planner/resources.h"

namespace kartograph::cli {
namespace {

constexpr char kDefaultWord[] = "default";

void PrintSentences(const google::protobuf::RepeatedPtrField<std::string>& sentences,
                    std::ostream* out) {
  for (const std::string& sentence : sentences) *out << "  " << Printable(sentence) << "\n";
}

int ExplainTask(const Context& context, const v1::Graph& graph, const std::string& name) {
  const auto explained = context.client->ExplainTask(graph.graph_id(), name);
  if (!explained.ok()) {
    return ReportError(context,
                       WithNearestTask(context, graph.graph_id(), name, explained.status()));
  }
  if (context.json) {
    PrintJson(context, *explained);
    return kDone;
  }
  *context.out << Quoted(name) << " of " << NameAndId(graph) << " "
               << WhatBecameOfIt(explained->state()) << ":\n";
  PrintSentences(explained->summary(), context.out);
  return kDone;
}

int ExplainGraph(const Context& context, const v1::Graph& graph) {
  if (graph.state() != v1::GRAPH_STATE_RUNNING) {
    if (context.json) {
      v1::ExplainGraphResponse ended;
      ended.set_graph_id(graph.graph_id());
      *ended.mutable_graph() = graph;
      PrintJson(context, ended);
    } else {
      *context.out << NameAndId(graph) << " " << Word(graph.state()) << ": "
                   << CountsInWords(graph.counts()) << "\n";
    }
    return kDone;
  }
  const auto explained = context.client->ExplainGraph(graph.graph_id());
  if (!explained.ok()) return ReportError(context, explained.status());
  if (context.json) {
    PrintJson(context, *explained);
    return kDone;
  }
  *context.out << NameAndId(graph) << " is running: " << CountsInWords(explained->graph().counts())
               << "\n";
  PrintSentences(explained->summary(), context.out);
  return kDone;
}

std::string Held(const v1::Pool& pool) {
  return absl::StrCat(FormatQuantity(pool.name(), pool.used()), " of ",
                      FormatQuantity(pool.name(), pool.capacity()));
}

// Where its capacity is from.
std::string Origin(const v1::PoolDetail& pool) {
  if (!pool.has_setting()) return "the settings";
  return absl::StrCat(
      "set at ", UtcTime(pool.set_time()), pool.set_by().empty() ? "" : " by ", pool.set_by(),
      pool.setting() > 0 ? absl::StrCat(" (", FormatQuantity(pool.pool().name(), pool.setting()),
                                        " in the settings)")
                         : " (not in the settings)");
}

void PrintPool(const v1::PoolDetail& pool, absl::Time now, std::ostream* out) {
  const std::string& name = pool.pool().name();
  *out << "\n" << name << ", " << Held(pool.pool()) << " in use";
  *out << (pool.holders().empty() ? ".\n" : ":\n");
  Table table({"GRAPH", "TASK", "ATTEMPT", "AGENT", "UNITS", "SINCE"});
  for (const v1::Holder& holder : pool.holders()) {
    table.Row({holder.graph_id(), holder.task_name(), absl::StrCat(holder.attempt()),
               holder.agent(), FormatQuantity(name, holder.quantity()),
               absl::StrCat(FormatElapsed(now - FromProto(holder.since())), " ago")});
  }
  if (!table.empty()) *out << table.ToString(2);
  if (pool.holder_count() > pool.holders_size()) {
    *out << "  and " << Count(pool.holder_count() - pool.holders_size(), "other") << "\n";
  }
  if (pool.waiting().empty()) return;
  *out << "  first in line: ";
  for (int i = 0; i < pool.waiting_size(); ++i) {
    *out << (i > 0 ? ", " : "") << Quoted(pool.waiting(i).task_name()) << " of "
         << pool.waiting(i).graph_id();
  }
  *out << "\n";
}

}  // namespace

int Explain(const Context& context, const std::string& graph_name, const std::string& task) {
  const auto graph = FindGraph(context, graph_name);
  if (!graph.ok()) return ReportError(context, graph.status());
  return task.empty() ? ExplainGraph(context, *graph) : ExplainTask(context, *graph, task);
}

int ListPools(const Context& context) {
  const absl::StatusOr<v1::ListPoolsResponse> all =
      AllPages(*context.client, &Client::ListPools, v1::ListPoolsRequest());
  if (!all.ok()) return ReportError(context, all.status());
  if (context.json) {
    PrintJson(context, *all);
    return kDone;
  }
  if (all->pools().empty()) {
    *context.out << "No pools. \"kartograph pool set NAME=NUMBER\" makes one.\n";
    return kDone;
  }
  Table table({"POOL", "IN USE", "WAITING", "CAPACITY FROM"});
  for (const v1::PoolDetail& pool : all->pools()) {
    table.Row({pool.pool().name(), Held(pool.pool()), Count(pool.pool().waiting_tasks(), "task"),
               Origin(pool)});
  }
  *context.out << table.ToString();
  const absl::Time now = absl::Now();
  for (const v1::PoolDetail& pool : all->pools()) {
    if (!pool.holders().empty() || !pool.waiting().empty()) PrintPool(pool, now, context.out);
  }
  return kDone;
}

int SetPool(const Context& context, const std::string& setting) {
  const auto refuse = [&](absl::string_view why) {
    *context.err << "kartograph: " << Quoted(setting) << ": " << why << "\n";
    return int{kWrongUse};
  };
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(setting, absl::MaxSplits('=', 1));
  const absl::string_view value = absl::StripAsciiWhitespace(parts.second);
  if (parts.first.empty() || value.empty()) {
    return refuse("must be NAME=NUMBER, such as db_connections=40, or NAME=default");
  }
  v1::SetPoolRequest request;
  request.set_name(std::string(parts.first));
  if (value != kDefaultWord) {
    const absl::StatusOr<planner::Quantity> quantity =
        planner::ParseQuantity(value, std::string(parts.first));
    if (!quantity.ok()) return refuse(std::string(quantity.status().message()));
    if (quantity->is_zero()) {
      return refuse("must be more than 0; NAME=default goes back to the settings");
    }
    request.set_capacity(quantity->units());
  }
  const bool back = !request.has_capacity();
  const auto set = context.client->SetPool(std::move(request));
  if (!set.ok()) return ReportError(context, set.status());
  if (context.json) {
    PrintJson(context, *set);
    return kDone;
  }
  const std::string name(parts.first);
  if (set->capacity() == 0) {
    *context.out << "pool " << name << " is gone\n";
  } else {
    *context.out << "pool " << name << ": "
                 << (set->before() == 0 ? "new" : FormatQuantity(name, set->before())) << " -> "
                 << FormatQuantity(name, set->capacity()) << (back ? ", as in the settings" : "")
                 << "\n";
  }
  return kDone;
}

}  // namespace kartograph::cli
