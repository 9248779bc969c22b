// submit, validate, retry: what brings work to the service.
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/commands.h"
#include "cli/file_problems.h"
#include "cli/follow.h"
#include "cli/graph_file.h"
#include "cli/report.h"
#include "cli/task_names.h"
#include "cli/text.h"
#include "planner/names.h"

namespace kartograph::cli {
namespace {

// A file's problems in the contract's form.
v1::Problems ToProblems(const FileProblems& problems) {
  v1::Problems result;
  for (const FileProblem& problem : problems.Sorted()) {
    v1::Problem* added = result.add_problems();
    added->set_field(problem.field);
    if (problem.mark.line > 0) {
      added->set_message(absl::StrCat("line ", problem.mark.line, ", column ", problem.mark.column,
                                      ": ", problem.message));
    } else {
      added->set_message(problem.message);
    }
  }
  result.set_total(static_cast<int32_t>(problems.total()));
  return result;
}

// To be called where the service refused to retry the whole of a graph: OK where that is since it
// runs and has nothing to retry, as after a retry; otherwise why it was refused.
absl::Status WhyAllIsNotRetried(const Context& context, const std::string& graph_id,
                                const absl::Status& refused) {
  const auto graph = context.client->GetGraph(graph_id);
  if (!graph.ok() || graph->state() != v1::GRAPH_STATE_RUNNING) return refused;
  const v1::TaskCounts& counts = graph->counts();
  if (counts.failed() + counts.cancelled() + counts.skipped() == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(NameAndId(*graph),
                   " is still running; retry it when it has ended, or some of "
                   "its tasks now: kartograph retry ",
                   graph_id, " TASK ..."));
}

// Why a retry of these tasks, or without any of the whole graph, has nothing to do.
std::string WhyNothing(const v1::Graph& graph, bool running,
                       const std::vector<std::string>& tasks) {
  if (!tasks.empty()) {
    return absl::StrCat(absl::StrJoin(tasks, ", "), tasks.size() == 1 ? " has" : " have",
                        " not failed, nor been cancelled or skipped");
  }
  if (!running) return absl::StrCat("every task of ", NameAndId(graph), " succeeded");
  return absl::StrCat(NameAndId(graph),
                      " is running, and none of its tasks has failed, been cancelled or skipped");
}

}  // namespace

int Submit(const Context& context, const SubmitArguments& arguments) {
  if (!CheckScale(context, arguments.scale)) return kWrongUse;
  FileProblems problems;
  std::optional<GraphFile> file = LoadGraphFile(arguments.file, arguments.scale, &problems);
  if (!file.has_value()) {
    *context.err << problems.ToString(arguments.file);
    return kWrongUse;
  }
  *context.err << problems.WarningsToString(arguments.file);
  if (!arguments.name.empty()) {
    const std::string problem = planner::GraphNameProblem(arguments.name);
    if (!problem.empty()) {
      *context.err << "kartograph: --name: " << Quoted(arguments.name) << " " << problem << "\n";
      return kWrongUse;
    }
    file->spec.set_name(arguments.name);
  }
  if (!arguments.queue.empty()) {
    const std::string problem = planner::NameProblem(arguments.queue);
    if (!problem.empty()) {
      *context.err << "kartograph: --queue: " << Quoted(arguments.queue) << " " << problem << "\n";
      return kWrongUse;
    }
    file->spec.set_client_queue(arguments.queue);
  }
  const auto response = context.client->SubmitGraph(
      file->spec, file->tasks->size(),
      [&](size_t index, v1::TaskSpec* spec) { file->tasks->Read(index, spec); });
  if (!response.ok()) return ReportError(context, response.status(), &*file, arguments.file);
  file.reset();  // it may be large, and waiting long
  for (const v1::UsageWarning& warning : response->usage_warnings()) {
    *context.err << "kartograph: warning: " << Printable(warning.message()) << "\n";
  }
  if (context.json && !arguments.wait) {
    PrintJson(context, *response);
  } else if (!context.json) {
    *context.out << response->graph_id() << "\n";
    context.out->flush();
  }
  if (!context.out->good()) {
    *context.err << "kartograph: the graph was submitted as " << response->graph_id() << "\n";
    return kOutputLost;
  }
  if (!arguments.wait) return kDone;
  return FollowGraph(context, response->graph_id(), context.err);
}

int Validate(const Context& context, const std::string& path, std::optional<double> scale) {
  if (!CheckScale(context, scale)) return kWrongUse;
  FileProblems problems;
  const std::optional<GraphFile> file = LoadGraphFile(path, scale, &problems);
  *context.err << problems.WarningsToString(path);
  if (context.json) {
    PrintJson(context, ToProblems(problems));
  } else if (file.has_value()) {
    *context.out << path << ": " << Count(static_cast<int64_t>(file->tasks->size()), "task") << ", "
                 << Count(file->edges, "edge") << ", ok\n";
  } else {
    *context.err << problems.ToString(path);
  }
  return file.has_value() ? kDone : kWrongUse;
}

int Retry(const Context& context, const std::string& id_or_name,
          const std::vector<std::string>& words, bool wait) {
  const auto graph = FindGraphToChange(context, id_or_name);
  if (!graph.ok()) return ReportError(context, graph.status());
  const absl::Time started = absl::Now();
  const auto tasks =
      ExpandTaskNames(context, *graph, words,
                      {v1::TASK_STATE_FAILED, v1::TASK_STATE_CANCELLED, v1::TASK_STATE_SKIPPED});
  if (!tasks.ok()) return ReportError(context, tasks.status());
  if (tasks->size() > kMaxTaskNames) {
    return ReportError(context, absl::InvalidArgumentError(absl::StrCat(
                                    tasks->size(), " tasks are meant; at most ", kMaxTaskNames,
                                    " can be named, or the whole graph when it has ended")));
  }
  v1::RetryRequest request;
  request.set_graph_id(graph->graph_id());
  for (const std::string& task : *tasks) request.add_task_names(task);
  auto response = context.client->Retry(request);
  bool running = false;
  if (tasks->empty() && absl::IsFailedPrecondition(response.status())) {
    const absl::Status refused = WhyAllIsNotRetried(context, graph->graph_id(), response.status());
    if (!refused.ok()) return ReportError(context, refused);
    running = true;
    response = v1::RetryResponse();
  }
  if (!response.ok()) {
    return ReportError(context,
                       WithNearestTask(context, graph->graph_id(), *tasks, response.status()));
  }
  if (context.json && !wait) {
    PrintJson(context, *response);
  } else if (!context.json && response->tasks() == 0) {
    *context.out << "nothing to retry: " << WhyNothing(*graph, running, *tasks) << "\n";
  } else if (!context.json) {
    *context.out << Count(response->tasks(), "task") << " of " << NameAndId(*graph)
                 << " will run again\n";
    context.out->flush();
  }
  if (!context.out->good()) return kOutputLost;
  return wait ? FollowGraph(context, graph->graph_id(), context.err, started) : int{kDone};
}

}  // namespace kartograph::cli
