// status, list: what the service has.
#include <algorithm>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/byte_size.h"
#include "base/duration.h"
#include "base/suggest.h"
#include "cli/commands.h"
#include "cli/file_problems.h"
#include "cli/proto_time.h"
#include "cli/report.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "planner/labels.h"

namespace kartograph::cli {
namespace {

constexpr int kTasksShown = 20;
constexpr int kFailuresShown = 5;
constexpr int kLiveGraphsShown = 20;
constexpr int kMaxPage = 1000;

std::string Ago(const google::protobuf::Timestamp& time, absl::Time now) {
  return absl::StrCat(FormatElapsed(now - FromProto(time)), " ago");
}

std::string Progress(const v1::TaskCounts& counts) {
  return absl::StrCat(counts.succeeded(), "/", counts.total());
}

// "use of capacity" of every resource an agent has.
std::string Use(const v1::Agent& agent) {
  std::string use;
  for (const auto& [name, capacity] :
       std::map<std::string, double>(agent.capacity().begin(), agent.capacity().end())) {
    const auto used = agent.used().find(name);
    absl::StrAppend(&use, use.empty() ? "" : ", ", name, " ",
                    FormatQuantity(name, used == agent.used().end() ? 0 : used->second), " of ",
                    FormatQuantity(name, capacity));
  }
  return use;
}

using Attributes = std::map<std::string, std::string>;

// The attributes that several agents have all alike, so that they need not be said of each.
Attributes CommonAttributes(const v1::Cluster& cluster) {
  if (cluster.agents_size() < 2) return {};
  const auto& first = cluster.agents(0).attributes();
  Attributes common(first.begin(), first.end());
  for (const v1::Agent& agent : cluster.agents()) {
    std::erase_if(common, [&agent](const auto& attribute) {
      const auto found = agent.attributes().find(attribute.first);
      return found == agent.attributes().end() || found->second != attribute.second;
    });
  }
  return common;
}

// What to know of an agent beside its use: what is wrong with it, when it is taken down, its host's
// load and those of its attributes that are not common to all.
std::string Notes(const v1::Agent& agent, const Attributes& common) {
  std::string notes;
  const auto add = [&notes](absl::string_view note) {
    absl::StrAppend(&notes, notes.empty() ? "" : ", ", note);
  };
  if (agent.has_unreachable_since()) {
    add(absl::StrCat("has not answered since ", UtcTime(agent.unreachable_since())));
  }
  if (!agent.failure().empty()) {
    add(absl::StrCat(agent.has_set_aside_until()
                         ? absl::StrCat("set aside until ", UtcTime(agent.set_aside_until()))
                         : std::string("tried again with one attempt at a time"),
                     ": ", agent.failure()));
  }
  if (!agent.closed().empty()) add(agent.closed());
  if (agent.has_unavailable_from()) {
    add(absl::StrCat("maintenance from ", UtcTime(agent.unavailable_from())));
  }
  if (agent.has_host()) {
    if (agent.host().has_cpu_busy()) {
      add(absl::StrFormat("cpu %.0f%% busy", agent.host().cpu_busy() * 100));
    }
    add(absl::StrFormat("load %.1f", agent.host().load()));
    add(absl::StrCat(FormatBytes(static_cast<double>(agent.host().ram_available_bytes())),
                     " ram available"));
  }
  for (const auto& [name, value] :
       Attributes(agent.attributes().begin(), agent.attributes().end())) {
    if (!common.contains(name)) add(absl::StrCat(name, "=", value));
  }
  return notes;
}

void PrintAgents(const v1::Cluster& cluster, std::ostream* out) {
  const Attributes common = CommonAttributes(cluster);
  const bool noted =
      std::any_of(cluster.agents().begin(), cluster.agents().end(),
                  [&common](const v1::Agent& agent) { return !Notes(agent, common).empty(); });
  Table agents({"AGENT", "ATTEMPTS", "USE", noted ? "NOTES" : ""});
  for (const v1::Agent& agent : cluster.agents()) {
    agents.Row({agent.name(), absl::StrCat(agent.attempts()),
                !agent.connected()       ? "not connected"
                : agent.closed().empty() ? Use(agent)
                                         : "not offered",
                Notes(agent, common)});
  }
  *out << (agents.empty() ? "No agents.\n" : agents.ToString());
  if (cluster.agent_count() > cluster.agents_size()) {
    *out << "and " << Count(cluster.agent_count() - cluster.agents_size(), "more agent") << "\n";
  }
  if (!common.empty()) *out << "\nAll agents:\n";
  for (const auto& [name, value] : common) {
    *out << "  " << Printable(name) << "=" << Printable(value) << "\n";
  }
  if (cluster.pools_size() == 0) return;
  Table pools({"POOL", "USE", "WAITING"});
  for (const v1::Pool& pool : cluster.pools()) {
    pools.Row({pool.name(),
               absl::StrCat(FormatQuantity(pool.name(), pool.used()), " of ",
                            FormatQuantity(pool.name(), pool.capacity())),
               Count(pool.waiting_tasks(), "task")});
  }
  *out << "\n" << pools.ToString();
}

std::string GraphTable(const google::protobuf::RepeatedPtrField<v1::Graph>& graphs,
                       absl::Time now) {
  std::vector<std::string> heading = {"ID",      "NAME",   "STATE",     "DONE",
                                      "RUNNING", "FAILED", "SUBMITTED", "TIME"};
  // Where there is one user, who it is says nothing.
  const bool several = std::any_of(graphs.begin(), graphs.end(), [&](const v1::Graph& graph) {
    return graph.user() != graphs.begin()->user();
  });
  if (several) heading.emplace_back("USER");
  Table table(heading);
  for (const v1::Graph& graph : graphs) {
    std::vector<std::string> row = {
        graph.graph_id(),
        graph.spec().name(),
        std::string(Word(graph.state())),
        Progress(graph.counts()),
        absl::StrCat(graph.counts().running()),
        absl::StrCat(graph.counts().failed()),
        UtcTime(graph.submit_time()),
        FormatElapsed(TimeTaken(graph, now)),
    };
    if (several) row.push_back(graph.user());
    table.Row(row);
  }
  return table.ToString();
}

int ClusterStatus(const Context& context) {
  const auto cluster = context.client->GetCluster();
  if (!cluster.ok()) return ReportError(context, cluster.status());
  if (context.json) {
    PrintJson(context, *cluster);
    return kDone;
  }
  v1::ListGraphsRequest live;
  live.set_state(v1::GRAPH_STATE_RUNNING);
  live.set_page_size(kLiveGraphsShown);
  const auto graphs = context.client->ListGraphs(live);
  if (!graphs.ok()) return ReportError(context, graphs.status());
  const auto failures = context.client->ListFailures(kFailuresShown);
  if (!failures.ok()) return ReportError(context, failures.status());

  const absl::Time now = absl::Now();
  std::ostream& out = *context.out;
  out << "Kartograph" << (cluster->version().empty() ? "" : " ") << cluster->version() << " at "
      << context.client->options().address << ", up "
      << FormatElapsed(now - FromProto(cluster->start_time()))
      << (cluster->connected() ? "" : ", NOT connected to its cluster")
      << (cluster->disconnect_reason().empty() ? "" : ": ")
      << Printable(cluster->disconnect_reason()) << "\n\n";
  if (!cluster->write_error().empty()) {
    out << "ERROR: " << Printable(cluster->write_error()) << "\n\n";
  }
  PrintAgents(*cluster, &out);
  out << "\n";
  if (graphs->graphs().empty()) {
    out << "No graph is running.\n";
  } else {
    out << GraphTable(graphs->graphs(), now);
    if (!graphs->next_page_token().empty()) {
      out << "and more; \"kartograph list --state running\" shows them\n";
    }
  }
  if (failures->failures_size() > 0) {
    out << "\nLast failures:\n";
    Table table({"GRAPH", "TASK", "WHEN", "WHY"});
    for (const auto& failure : failures->failures()) {
      table.Row({absl::StrCat(failure.graph_name(), " (", failure.graph_id(), ")"),
                 failure.task_name(), Ago(failure.end_time(), now), failure.message()});
    }
    out << table.ToString();
  }
  return kDone;
}

int AllTasks(const Context& context, const v1::Graph& graph) {
  v1::ListTasksRequest request;
  request.set_graph_id(graph.graph_id());
  request.set_full(true);
  const auto tasks = ListAllTasks(context, request);
  if (!tasks.ok()) return ReportError(context, tasks.status());
  if (context.json) {
    PrintJson(context, *tasks);
    return kDone;
  }
  const absl::Time now = absl::Now();
  Table table({"TASK", "STATE", "ATTEMPTS", "AGENT", "USED", "WHY"});
  for (const v1::Task& task : tasks->tasks()) {
    const v1::Attempt last =
        task.attempts().empty() ? v1::Attempt() : task.attempts(task.attempts_size() - 1);
    table.Row({task.name(), std::string(Word(task.state())), absl::StrCat(task.attempts_size()),
               last.agent(), UsageInWords(last, now), task.reason()});
  }
  *context.out << table.ToString();
  return kDone;
}

// A list of tasks with their reasons, under a heading.
int PrintTasks(const Context& context, const v1::Graph& graph, absl::string_view heading,
               std::initializer_list<v1::TaskState> states, int64_t total, bool all) {
  if (total == 0) return kDone;
  v1::ListTasksRequest request;
  request.set_graph_id(graph.graph_id());
  for (const v1::TaskState state : states) request.add_states(state);
  const auto tasks = ListAllTasks(context, request, all ? 0 : kTasksShown);
  if (!tasks.ok()) return ReportError(context, tasks.status());
  Table table({"TASK", "STATE", "WHY"});
  for (const v1::Task& task : tasks->tasks()) {
    table.Row({task.name(), std::string(Word(task.state())), task.reason()});
  }
  *context.out << "\n" << heading;
  if (tasks->tasks_size() < total) {
    *context.out << " (the first " << tasks->tasks_size() << " of " << total
                 << "; --all shows all)";
  }
  *context.out << ":\n" << table.ToString(2);
  return kDone;
}

int GraphStatus(const Context& context, const StatusArguments& arguments) {
  absl::StatusOr<v1::Graph> graph = FindGraph(context, arguments.graph);
  if (!graph.ok()) return ReportError(context, graph.status());
  if (!arguments.task.empty()) return TaskStatus(context, *graph, arguments.task);
  if (arguments.tasks) return AllTasks(context, *graph);
  if (graph->state() == v1::GRAPH_STATE_RUNNING) {
    graph = context.client->GetGraph(graph->graph_id(), /*expect_end=*/true);
    if (!graph.ok()) return ReportError(context, graph.status());
  }
  if (context.json) {
    PrintJson(context, *graph);
    return kDone;
  }
  const absl::Time now = absl::Now();
  const v1::TaskCounts& counts = graph->counts();
  std::ostream& out = *context.out;
  if (!graph->spec().title().empty()) out << Printable(graph->spec().title()) << "\n";
  out << NameAndId(*graph) << " " << Word(graph->state())
      << (graph->state() == v1::GRAPH_STATE_RUNNING ? " for " : " after ")
      << FormatElapsed(TimeTaken(*graph, now)) << ": " << CountsInWords(counts) << "\n"
      << "submitted " << UtcTime(graph->submit_time());
  if (graph->has_end_time()) out << ", ended " << UtcTime(graph->end_time());
  if (graph->has_expected_end_time()) {
    const absl::Duration left = FromProto(graph->expected_end_time()) - now;
    out << ", expected to end "
        << (left > absl::ZeroDuration() ? absl::StrCat("in ", FormatElapsed(left)) : "now") << " ("
        << UtcTime(graph->expected_end_time()) << ")";
  }
  if (!graph->spec().client_queue().empty()) out << ", queue " << graph->spec().client_queue();
  if (graph->spec().fail_fast()) out << ", fail fast";
  if (graph->spec().open()) out << ", open";
  const std::map<std::string, std::string> labels(graph->spec().labels().begin(),
                                                  graph->spec().labels().end());
  for (const auto& [name, value] : labels) {
    out << ", " << name << "=" << Printable(value);
  }
  out << "\n";
  const int failed = PrintTasks(context, *graph, "Failed", {v1::TASK_STATE_FAILED}, counts.failed(),
                                arguments.all);
  if (failed != kDone) return failed;
  return PrintTasks(context, *graph, "Not finished",
                    {v1::TASK_STATE_WAITING, v1::TASK_STATE_READY, v1::TASK_STATE_LAUNCHING,
                     v1::TASK_STATE_RUNNING},
                    int64_t{counts.total()} - FinalTasks(counts), arguments.all);
}

}  // namespace

int Status(const Context& context, const StatusArguments& arguments) {
  if (arguments.users) return ListShares(context);
  return arguments.graph.empty() ? ClusterStatus(context) : GraphStatus(context, arguments);
}

int List(const Context& context, const ListArguments& arguments) {
  v1::ListGraphsRequest request;
  if (!arguments.state.empty()) {
    const std::optional<v1::GraphState> state = GraphStateFromWord(arguments.state);
    if (!state.has_value()) {
      const absl::string_view meant = Nearest(
          arguments.state, std::vector<absl::string_view>(absl::StrSplit(kGraphStateWords, ", ")));
      *context.err << "kartograph: --state: " << Quoted(arguments.state)
                   << " is not a state of graphs; "
                   << (meant.empty() ? absl::StrCat("use one of ", kGraphStateWords)
                                     : absl::StrCat("did you mean \"", meant, "\"?"))
                   << "\n";
      return kWrongUse;
    }
    request.set_state(*state);
  }
  request.set_client_queue(arguments.queue);
  request.set_user(arguments.user);
  for (const std::string& label : arguments.labels) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(label, absl::MaxSplits('=', 1));
    if (const std::string problem = planner::LabelNameProblem(parts.first); !problem.empty()) {
      *context.err << "kartograph: --label: " << Quoted(parts.first) << " " << problem
                   << "; give NAME=VALUE\n";
      return kWrongUse;
    }
    (*request.mutable_labels())[std::string(parts.first)] = std::string(parts.second);
  }
  v1::ListGraphsResponse all;
  do {
    request.set_page_size(std::min(kMaxPage, arguments.limit - all.graphs_size()));
    auto page = context.client->ListGraphs(request);
    if (!page.ok()) return ReportError(context, page.status());
    for (v1::Graph& graph : *page->mutable_graphs()) *all.add_graphs() = std::move(graph);
    all.set_next_page_token(page->next_page_token());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && all.graphs_size() < arguments.limit);
  if (context.json) {
    PrintJson(context, all);
  } else if (all.graphs().empty()) {
    const bool filtered = !arguments.state.empty() || !arguments.queue.empty() ||
                          !arguments.user.empty() || !arguments.labels.empty();
    *context.out << (filtered ? "No such graphs.\n" : "No graphs.\n");
  } else {
    *context.out << GraphTable(all.graphs(), absl::Now());
    if (!all.next_page_token().empty()) {
      *context.err << "There are older ones; --limit shows more.\n";
    }
  }
  return kDone;
}

}  // namespace kartograph::cli
