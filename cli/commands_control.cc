// cancel, close, watch: commands on a running graph.
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/report.h"
#include "cli/text.h"

namespace kartograph::cli {

int Cancel(const Context& context, const std::string& id_or_name, const std::string& task) {
  const auto graph = FindGraphToChange(context, id_or_name);
  if (!graph.ok()) return ReportError(context, graph.status());
  v1::CancelRequest request;
  request.set_graph_id(graph->graph_id());
  request.set_task_name(task);
  const auto response = context.client->Cancel(request);
  if (!response.ok()) return ReportError(context, response.status());
  if (context.json) {
    PrintJson(context, *response);
  } else if (response->tasks() == 0 && task.empty() && graph->spec().open() &&
             graph->state() == v1::GRAPH_STATE_RUNNING) {
    // It ran until it was closed.
    *context.out << "nothing to cancel: all tasks of " << NameAndId(*graph)
                 << " have ended; it is closed now\n";
  } else if (response->tasks() == 0) {
    *context.out << "nothing to cancel: " << (task.empty() ? NameAndId(*graph) : task)
                 << " has ended\n";
  } else {
    *context.out << Count(response->tasks(), "task") << " of " << NameAndId(*graph)
                 << (response->tasks() == 1 ? " is" : " are") << " being cancelled\n";
  }
  return kDone;
}

int Watch(const Context& context, const std::string& id_or_name) {
  const auto graph = FindGraph(context, id_or_name);
  if (!graph.ok()) return ReportError(context, graph.status());
  return FollowGraph(context, graph->graph_id(), context.out);
}

int Close(const Context& context, const std::string& id_or_name) {
  const auto graph = FindGraphToChange(context, id_or_name);
  if (!graph.ok()) return ReportError(context, graph.status());
  v1::CloseGraphRequest request;
  request.set_graph_id(graph->graph_id());
  const auto response = context.client->CloseGraph(request);
  if (!response.ok()) return ReportError(context, response.status());
  if (context.json) {
    PrintJson(context, *response);
  } else if (graph->state() != v1::GRAPH_STATE_RUNNING) {
    *context.out << NameAndId(*graph) << " has ended already\n";
  } else if (!graph->spec().open()) {
    *context.out << NameAndId(*graph) << " was not open; it ends when its tasks have\n";
  } else {
    *context.out << NameAndId(*graph) << " is closed; it ends when its tasks have\n";
  }
  return kDone;
}

}  // namespace kartograph::cli
