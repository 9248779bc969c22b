// usage: what tasks have used so far, beside what they declare.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/byte_size.h"
#include "base/duration.h"
#include "cli/all_pages.h"
#include "cli/commands.h"
#include "cli/proto_time.h"
#include "cli/report.h"
#include "cli/text.h"
#include "planner/names.h"

namespace kartograph::cli {
namespace {

std::string Cores(double cores) { return absl::StrFormat("%.2g", cores); }

// What was not measured is left empty, as a cluster without measuring has it.
void AddRow(const v1::KindUsage& kind, Table& table) {
  const bool measured = kind.ram_peak() > 0;
  const auto if_measured = [measured](std::string text) {
    return measured ? std::move(text) : std::string();
  };
  table.Row({kind.graph(), kind.task(), absl::StrCat(kind.runs()),
             FormatElapsed(FromProto(kind.wall_time_median())),
             FormatElapsed(FromProto(kind.wall_time_p95())), if_measured(Cores(kind.cpu_median())),
             if_measured(Cores(kind.cpu_p95())), if_measured(FormatBytes(kind.ram_median())),
             if_measured(FormatBytes(kind.ram_p95())), if_measured(FormatBytes(kind.ram_peak())),
             Quantities(kind.consumption()), Quantities(kind.proposal())});
}

}  // namespace

int Usage(const Context& context, const UsageArguments& arguments) {
  v1::ListUsageRequest request;
  if (arguments.names.size() == 2) {
    request.set_graph(arguments.names[0]);
    if (planner::LooksLikeGraphId(arguments.names[0])) {
      const auto graph = FindGraph(context, arguments.names[0]);
      if (!graph.ok()) return ReportError(context, graph.status());
      request.set_graph(graph->spec().name());
    }
  }
  if (!arguments.names.empty()) request.set_task(arguments.names.back());
  const absl::StatusOr<v1::ListUsageResponse> all =
      AllPages(*context.client, &Client::ListUsage, request);
  if (!all.ok()) return ReportError(context, all.status());
  if (context.json) {
    PrintJson(context, *all);
    return kDone;
  }
  if (all->kinds().empty()) {
    *context.out << "No task" << (arguments.names.empty() ? "" : " of this kind")
                 << " has succeeded yet.\n";
    return kDone;
  }
  Table table({"GRAPH", "KIND", "RUNS", "TIME", "95 %", "CPU", "95 %", "RAM", "95 %", "PEAK",
               "DECLARED", "PROPOSED"});
  for (const v1::KindUsage& kind : all->kinds()) AddRow(kind, table);
  *context.out << table.ToString();
  return kDone;
}

}  // namespace kartograph::cli
