// plan: what would happen, found out by running the scheduler on a simulated cluster.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "api/kartograph/v1/plan.pb.h"
#include "base/duration.h"
#include "base/utf8.h"
#include "cli/all_pages.h"
#include "cli/commands.h"
#include "cli/field_place.h"
#include "cli/file_problems.h"
#include "cli/gantt.h"
#include "cli/graph_file.h"
#include "cli/plan_cluster.h"
#include "cli/plan_graph.h"
#include "cli/proto_time.h"
#include "cli/report.h"
#include "cli/text.h"
#include "forecast/forecast.h"
#include "planner/problems.h"

namespace kartograph::cli {
namespace {

constexpr size_t kMaxNamesShown = 9;  // of the critical path
constexpr size_t kMaxNameShown = 48;  // its letters

int WrongOption(const Context& context, absl::string_view option, const absl::Status& status) {
  *context.err << "kartograph: " << option << ": " << std::string(status.message()) << "\n";
  return kWrongUse;
}

// What is asked of the service, and what is said instead.
absl::StatusOr<PlanCluster> FindCluster(const Context& context, const PlanArguments& arguments) {
  PlanCluster cluster;
  for (const std::string& word : arguments.agents) {
    if (absl::Status status = AddAgents(word, &cluster); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--agents: ", status.message()));
    }
  }
  if (arguments.agents.empty()) {
    const absl::StatusOr<v1::Cluster> service = context.client->GetCluster();
    if (!service.ok()) return service.status();
    if (absl::Status status = AddServiceCluster(*service, &cluster); !status.ok()) return status;
    if (service->agent_count() > service->agents_size()) {
      *context.err << "kartograph: warning: the service has "
                   << Count(service->agent_count(), "agent") << " and names "
                   << service->agents_size() << "; the others are left out\n";
    }
  }
  std::vector<std::string> seen;
  for (const std::string& word : arguments.pools) {
    if (absl::Status status = SetPlanPool(word, &seen, &cluster); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--pool: ", status.message()));
    }
  }
  return cluster;
}

absl::StatusOr<LearntDurations> AskForDurations(const Context& context, const std::string& graph) {
  LearntDurations learnt;
  v1::ListUsageRequest request;
  request.set_graph(graph);
  const absl::StatusOr<v1::ListUsageResponse> all =
      AllPages(*context.client, &Client::ListUsage, request);
  if (!all.ok()) return all.status();
  for (const v1::KindUsage& kind : all->kinds()) learnt.Add(kind);
  return learnt;
}

// What the scheduler refuses, each with its place in the file.
int ReportRefused(const Context& context, const absl::Status& status, const GraphFile& file,
                  const std::string& path) {
  int total = 0;
  const std::vector<planner::Problem> problems = planner::ProblemsOf(status, &total);
  if (problems.empty()) {
    *context.err << "kartograph: " << std::string(status.message()) << "\n";
    return kWrongUse;
  }
  FileProblems in_file;
  for (const planner::Problem& problem : problems) {
    std::string message = problem.message;
    if (absl::StartsWith(message, "no agent and no pool ")) {
      message = "no agent and no pool that is planned for has this resource (--agents, --pool)";
    } else if (!problem.value.empty()) {
      message = absl::StrCat(Quoted(problem.value), " ", message);
    }
    const auto steps = ParseField(problem.field);
    const std::optional<FilePlace> place = steps ? FindField(file, *steps) : std::nullopt;
    in_file.Add(place ? place->mark : Mark(), Printable(place ? place->field : problem.field),
                message);
  }
  *context.err << in_file.ToString(path);
  const int more = total - static_cast<int>(problems.size());
  if (more > 0) *context.err << "and " << Count(more, "more problem") << "\n";
  return kWrongUse;
}

std::string Shortened(absl::string_view name) {
  if (name.size() <= kMaxNameShown) return std::string(name);
  return absl::StrCat(TruncateUtf8(name, kMaxNameShown - 3), "...");
}

std::string PathInWords(const forecast::Graph& graph, const std::vector<planner::TaskIndex>& path) {
  std::string words;
  const size_t first = path.size() <= kMaxNamesShown ? path.size() : kMaxNamesShown / 2;
  const size_t last = path.size() - (path.size() <= kMaxNamesShown ? 0 : kMaxNamesShown / 2);
  for (size_t i = 0; i < path.size(); ++i) {
    if (i == first && first < last) {
      absl::StrAppend(&words, " > (", last - first, " more)");
      i = last;
    }
    absl::StrAppend(&words, i == 0 ? "" : " > ", Shortened(graph.tasks[path[i]].name));
  }
  return words;
}

std::string InWords(const planner::ResourceVector& resources) {
  std::string words;
  for (const auto& entry : resources) {
    const absl::string_view name = entry.resource.name();
    absl::StrAppend(&words, words.empty() ? "" : " ", name, "=",
                    FormatQuantity(name, entry.quantity.units()));
  }
  return words;
}

std::string InWords(const forecast::WhatIf& change, const forecast::Graph& graph,
                    const forecast::Cluster& cluster) {
  switch (change.kind) {
    case forecast::WhatIf::Kind::kOneMoreAgent:
      return absl::StrCat("one more agent (", InWords(change.agent), ")");
    case forecast::WhatIf::Kind::kLargerPool:
      return absl::StrCat("pool ", change.pool.name(), ": ",
                          cluster.pools.Get(change.pool).ToString(), " -> ",
                          change.units.ToString());
    case forecast::WhatIf::Kind::kFasterTask:
      return absl::StrCat("\"", Shortened(graph.tasks[change.task].name), "\" twice as fast");
  }
  return "";
}

std::string Saving(absl::Duration before, absl::Duration after) {
  if (after == before) return "nothing";
  // Orders are searched for, and one that is found elsewhere may be a little worse.
  if (after > before) return absl::StrCat("nothing, ", FormatElapsed(after - before), " longer");
  return FormatElapsed(before - after);
}

void PrintDurations(const Context& context, const PlanGraph& plan) {
  const auto size = static_cast<int64_t>(plan.graph.tasks.size());
  if (plan.learnt > 0) {
    *context.out << plan.learnt << " of " << Count(size, "task") << " "
                 << (plan.learnt == 1 ? "takes" : "take") << " as long as such tasks did\n";
  }
  if (plan.unknown == size) {
    *context.out << "no task says how long it takes (expected_duration): each is taken to take "
                 << FormatElapsed(plan.assumed) << "\n";
  } else if (plan.unknown > 0) {
    *context.out << plan.unknown << " of " << Count(size, "task")
                 << " do not say how long they take: each is taken to take "
                 << FormatElapsed(plan.assumed) << ", as the others do on average\n";
  }
}

void PrintPlan(const Context& context, const PlanGraph& plan, const forecast::Cluster& cluster,
               const forecast::Forecast& forecast) {
  std::ostream& out = *context.out;
  const forecast::Graph& graph = plan.graph;
  out << Printable(graph.name) << ": " << Count(static_cast<int64_t>(graph.tasks.size()), "task")
      << " on " << Count(static_cast<int64_t>(cluster.agents.size()), "agent") << " would take "
      << FormatElapsed(forecast.makespan) << "\n";
  out << "no schedule takes less than " << FormatElapsed(forecast.lower_bound) << ", because of ";
  if (!forecast.bound_by.has_value()) {
    out << "the critical path\n";
  } else if (cluster.pools.Get(*forecast.bound_by).is_zero()) {
    out << "the " << forecast.bound_by->name() << " of all agents\n";
  } else {
    out << "pool " << forecast.bound_by->name() << "\n";
  }
  out << "critical path, " << Count(static_cast<int64_t>(forecast.critical_path.size()), "task")
      << " in " << FormatElapsed(forecast.critical_path_length) << ": "
      << PathInWords(graph, forecast.critical_path) << "\n";
  PrintDurations(context, plan);
  Table uses({"RESOURCE", "CAPACITY", "USED"});
  for (const forecast::ResourceUse& use : forecast.uses) {
    const std::string name(use.resource.name());
    uses.Row({use.pool ? absl::StrCat("pool ", name) : name,
              FormatQuantity(name, use.capacity.units()),
              absl::StrFormat("%.0f %%", 100 * use.utilization)});
  }
  out << "\n" << uses.ToString();
  if (forecast.what_ifs.empty()) return;
  Table what_ifs({"WHAT IF", "WOULD TAKE", "SAVES"});
  for (const forecast::WhatIf& change : forecast.what_ifs) {
    what_ifs.Row({InWords(change, graph, cluster), FormatElapsed(change.makespan),
                  Saving(forecast.makespan, change.makespan)});
  }
  out << "\n" << what_ifs.ToString();
}

v1::GraphPlan ToMessage(const PlanGraph& plan, const forecast::Cluster& cluster,
                        const forecast::Forecast& forecast) {
  const forecast::Graph& graph = plan.graph;
  v1::GraphPlan message;
  message.set_graph(graph.name);
  message.set_agents(static_cast<int32_t>(cluster.agents.size()));
  *message.mutable_makespan() = ToProto(forecast.makespan);
  *message.mutable_lower_bound() = ToProto(forecast.lower_bound);
  if (forecast.bound_by) message.set_bound_by(std::string(forecast.bound_by->name()));
  for (planner::TaskIndex task : forecast.critical_path) {
    message.add_critical_path(graph.tasks[task].name);
  }
  *message.mutable_critical_path_length() = ToProto(forecast.critical_path_length);
  for (const forecast::ResourceUse& use : forecast.uses) {
    v1::GraphPlan::Resource& added = *message.add_resources();
    added.set_name(std::string(use.resource.name()));
    added.set_pool(use.pool);
    added.set_capacity(use.capacity.units());
    added.set_utilization(use.utilization);
  }
  for (const forecast::WhatIf& change : forecast.what_ifs) {
    v1::GraphPlan::WhatIf& added = *message.add_what_ifs();
    *added.mutable_makespan() = ToProto(change.makespan);
    switch (change.kind) {
      case forecast::WhatIf::Kind::kOneMoreAgent:
        for (const auto& entry : change.agent) {
          (*added.mutable_one_more_agent()
                ->mutable_capacity())[std::string(entry.resource.name())] = entry.quantity.units();
        }
        break;
      case forecast::WhatIf::Kind::kLargerPool:
        added.mutable_larger_pool()->set_name(std::string(change.pool.name()));
        added.mutable_larger_pool()->set_capacity(change.units.units());
        break;
      case forecast::WhatIf::Kind::kFasterTask:
        added.set_task_twice_as_fast(graph.tasks[change.task].name);
        break;
    }
  }
  for (size_t i = 0; i < graph.tasks.size(); ++i) {
    v1::GraphPlan::Task& added = *message.add_tasks();
    added.set_name(graph.tasks[i].name);
    added.set_agent(static_cast<int32_t>(forecast.runs[i].agent) + 1);
    *added.mutable_start() = ToProto(forecast.runs[i].start);
    *added.mutable_end() = ToProto(forecast.runs[i].end);
  }
  message.set_unknown_durations(static_cast<int32_t>(plan.unknown));
  if (plan.unknown > 0) *message.mutable_assumed() = ToProto(plan.assumed);
  return message;
}

}  // namespace

int Plan(const Context& context, const PlanArguments& arguments) {
  if (!CheckScale(context, arguments.scale)) return kWrongUse;
  if (arguments.gantt == "-") {
    return WrongOption(context, "--gantt", absl::InvalidArgumentError("give the name of a file"));
  }
  FileProblems problems;
  const std::optional<GraphFile> file = LoadGraphFile(arguments.file, arguments.scale, &problems);
  if (!file.has_value()) {
    *context.err << problems.ToString(arguments.file);
    return kWrongUse;
  }
  *context.err << problems.WarningsToString(arguments.file);
  const absl::StatusOr<PlanCluster> cluster = FindCluster(context, arguments);
  if (!cluster.ok()) {
    const int code = ReportError(context, cluster.status());
    if (code == kUnreachable) {
      *context.err << "Without a service, say what to plan for: --agents 20xcpu=16,ram=64GiB\n";
    }
    return code;
  }
  absl::StatusOr<LearntDurations> learnt = LearntDurations();
  if (arguments.learned) learnt = AskForDurations(context, file->spec.name());
  if (!learnt.ok()) return ReportError(context, learnt.status());
  const absl::StatusOr<PlanGraph> plan = MakePlanGraph(*file, *learnt);
  if (!plan.ok()) return ReportError(context, plan.status());
  const absl::StatusOr<forecast::Forecast> forecast =
      forecast::MakeForecast(plan->graph, cluster->cluster);
  if (!forecast.ok()) return ReportRefused(context, forecast.status(), *file, arguments.file);
  if (!arguments.gantt.empty()) {
    std::ofstream chart(arguments.gantt, std::ios::binary);
    chart << GanttChart(plan->graph, cluster->cluster, cluster->names, *forecast);
    chart.close();
    if (!chart) {
      *context.err << "kartograph: --gantt: " << Quoted(arguments.gantt) << " cannot be written\n";
      return kOutputLost;
    }
  }
  if (context.json) {
    PrintJson(context, ToMessage(*plan, cluster->cluster, *forecast));
  } else {
    PrintPlan(context, *plan, cluster->cluster, *forecast);
  }
  return kDone;
}

}  // namespace kartograph::cli
