// cancel, watch, logs: commands on a running graph.
#include <utility>

#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/patience.h"
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

int Logs(const Context& context, const LogsArguments& arguments) {
  const auto graph = FindGraph(context, arguments.graph);
  if (!graph.ok()) return ReportError(context, graph.status());
  v1::ReadLogRequest request;
  request.set_graph_id(graph->graph_id());
  request.set_task_name(arguments.task);
  request.set_attempt(arguments.attempt);
  request.set_stream(arguments.standard_error ? v1::LOG_STREAM_STDERR : v1::LOG_STREAM_STDOUT);
  request.set_follow(arguments.follow);
  request.set_follow_retries(arguments.attempt == 0);
  v1::ReadLogResponse all;  // for JSON, which is one document
  int attempt = 0;          // of the last message
  const auto writable = [&] { return context.out->good() && context.out_terminal.has_reader(); };
  const auto on_part = [&](const v1::ReadLogResponse& part) {
    if (attempt != 0 && part.attempt() != attempt) {
      *context.err << "==> " << arguments.task << ", attempt " << part.attempt() << " <==\n";
    }
    attempt = part.attempt() != 0 ? part.attempt() : request.attempt();  // an older service's is 0
    if (context.json) {
      if (all.attempt() != attempt) {
        all.Clear();
        all.set_attempt(attempt);
        all.set_offset(part.offset());
      }
      all.mutable_data()->append(part.data());
    } else {
      context.out->write(part.data().data(), static_cast<std::streamsize>(part.data().size()));
      context.out->flush();
    }
    // Where to go on after a loss of the service.
    request.set_attempt(attempt);
    request.set_offset(part.offset() + static_cast<int64_t>(part.data().size()));
  };
  Patience patience(context.patience);
  absl::Status status;
  for (bool away = false;;) {
    status = context.client->ReadLog(
        request,
        [&](const v1::ReadLogResponse& part) {
          patience.Renew();
          away = false;
          on_part(part);
          return writable();
        },
        writable);
    if (!arguments.follow || !IsAway(status)) break;
    if (!std::exchange(away, true)) {
      *context.err << "kartograph: the service is away, trying again" << std::endl;
    }
    if (!patience.Pause(writable)) break;
  }
  if (!writable()) return kOutputLost;
  if (!status.ok()) return ReportError(context, status);
  if (context.json) PrintJson(context, all);
  return kDone;
}

}  // namespace kartograph::cli
