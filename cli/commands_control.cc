// cancel, close, watch, forget: commands on a graph.
#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/file_problems.h"
#include "cli/follow.h"
#include "cli/report.h"
#include "cli/task_names.h"
#include "cli/text.h"

namespace kartograph::cli {

namespace {

// Calls once for all tasks, or for as many as a call takes, and adds the answers up. Without tasks
// once, for the whole graph.
absl::StatusOr<v1::CancelResponse> CancelAll(const Context& context, const v1::Graph& graph,
                                             absl::Span<const std::string> tasks) {
  v1::CancelResponse all;
  do {
    v1::CancelRequest request;
    request.set_graph_id(graph.graph_id());
    const absl::Span<const std::string> some = tasks.first(std::min(tasks.size(), kMaxTaskNames));
    for (const std::string& task : some) request.add_task_names(task);
    tasks.remove_prefix(some.size());
    absl::StatusOr<v1::CancelResponse> response = context.client->Cancel(request);
    if (!response.ok()) return response;
    all.set_tasks(all.tasks() + response->tasks());
    all.set_skipped(all.skipped() + response->skipped());
  } while (!tasks.empty());
  return all;
}

// What to type so that a graph that the service keeps can be forgotten.
void AdviseForget(const v1::Graph& graph, std::ostream* err) {
  if (graph.state() == v1::GRAPH_STATE_RUNNING) {
    *err << "  Cancel it: kartograph cancel " << graph.graph_id() << "\n"
         << "  Wait for its end: kartograph watch " << graph.graph_id() << "\n";
  } else if (const std::string& queue = graph.spec().client_queue(); !queue.empty()) {
    *err << "  Print and acknowledge what waits: kartograph queue pop " << queue << "\n"
         << "  Acknowledge everything in this queue, of other graphs too: kartograph queue purge "
         << queue << "\n";
  }
}

}  // namespace

int Cancel(const Context& context, const std::string& id_or_name,
           const std::vector<std::string>& words) {
  const auto graph = FindGraphToChange(context, id_or_name);
  if (!graph.ok()) return ReportError(context, graph.status());
  const auto tasks = ExpandTaskNames(context, *graph, words,
                                     {v1::TASK_STATE_WAITING, v1::TASK_STATE_READY,
                                      v1::TASK_STATE_LAUNCHING, v1::TASK_STATE_RUNNING});
  if (!tasks.ok()) return ReportError(context, tasks.status());
  const auto response = CancelAll(context, *graph, *tasks);
  if (!response.ok()) {
    return ReportError(context,
                       WithNearestTask(context, graph->graph_id(), *tasks, response.status()));
  }
  if (context.json) {
    PrintJson(context, *response);
  } else if (response->tasks() == 0 && tasks->empty() && graph->spec().open() &&
             graph->state() == v1::GRAPH_STATE_RUNNING) {
    // It ran until it was closed.
    *context.out << "nothing to cancel: all tasks of " << NameAndId(*graph)
                 << " have ended; it is closed now\n";
  } else if (response->tasks() == 0) {
    *context.out << "nothing to cancel: "
                 << (tasks->empty() ? NameAndId(*graph) : absl::StrJoin(*tasks, ", "))
                 << (tasks->size() > 1 ? " have" : " has") << " ended\n";
  } else {
    *context.out << Count(response->tasks(), "task") << " of " << NameAndId(*graph)
                 << (response->tasks() == 1 ? " is" : " are") << " being cancelled";
    if (response->skipped() > 0) {
      *context.out << "; " << response->skipped() << " that come"
                   << (response->skipped() == 1 ? "s" : "") << " after "
                   << (response->tasks() == 1 ? "it" : "them")
                   << (response->skipped() == 1 ? " is" : " are") << " skipped";
    }
    *context.out << "\n";
  }
  return kDone;
}

int Forget(const Context& context, const std::vector<std::string>& graphs) {
  for (const std::string& id_or_name : graphs) {
    const auto graph = FindGraphToChange(context, id_or_name);
    if (!graph.ok()) return ReportError(context, graph.status());
    v1::ForgetGraphRequest request;
    request.set_graph_id(graph->graph_id());
    const auto response = context.client->ForgetGraph(request);
    if (!response.ok()) {
      const int code = ReportError(context, response.status());
      if (absl::IsFailedPrecondition(response.status())) AdviseForget(*graph, context.err);
      return code;
    }
    if (!context.json) {
      *context.out << NameAndId(*graph) << " was forgotten, with its logs and sandboxes\n";
    }
  }
  if (context.json) PrintJson(context, v1::ForgetGraphResponse());
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
    *context.out << NameAndId(*graph) << " has already ended\n";
  } else if (!graph->spec().open()) {
    *context.out << NameAndId(*graph) << " was not open; it ends when its tasks have\n";
  } else {
    *context.out << NameAndId(*graph) << " is closed; it ends when its tasks have\n";
  }
  return kDone;
}

}  // namespace kartograph::cli
