// logs: what tasks wrote.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/log_output.h"
#include "cli/report.h"
#include "cli/text.h"

namespace kartograph::cli {
namespace {

std::vector<v1::LogStream> StreamsOf(const LogsArguments& arguments) {
  if (arguments.standard_output && !arguments.standard_error) return {v1::LOG_STREAM_STDOUT};
  if (arguments.standard_error && !arguments.standard_output) return {v1::LOG_STREAM_STDERR};
  return {v1::LOG_STREAM_STDOUT, v1::LOG_STREAM_STDERR};
}

const char* Word(v1::LogStream stream) {
  return stream == v1::LOG_STREAM_STDERR ? "stderr" : "stdout";
}

// Prints what is there of each stream, one after the other. Where both have the same output, a line
// there says where the second begins.
absl::Status PrintStreams(const Context& context, LogRead read,
                          const std::vector<v1::LogStream>& streams, LogOutput* output) {
  for (const v1::LogStream stream : streams) {
    bool begun = false;
    absl::Status status = ReadTaskLog(
        context, context.client, read, stream,
        [&](int attempt, const v1::ReadLogResponse& part) {
          if (!begun && output->is_one() && output->bytes() > 0 && !part.data().empty()) {
            *context.out << (output->at_line_start() ? "" : "\n") << "==> " << read.task << ", "
                         << Word(stream) << " <==\n";
          }
          begun = begun || !part.data().empty();
          output->Print(stream, attempt, part.data());
        },
        [&] { output->ServiceIsAway(stream); }, [&] { return output->writable(); });
    if (!status.ok()) return status;
    // The other stream of the same attempt, though one more may have been launched meanwhile.
    if (read.attempt == 0 && !read.follow) read.attempt = output->attempt();
  }
  return absl::OkStatus();
}

// What there is of the last attempt's streams, as JSON: that of one stream is the contract's
// message, those of several are in an object.
absl::StatusOr<std::string> StreamsAsJson(const Context& context, LogRead read,
                                          const std::vector<v1::LogStream>& streams) {
  std::string json;
  // The number of an attempt that wrote nothing does not come with its output.
  const auto attempt = [&] {
    if (read.attempt != 0) return read.attempt;
    const auto task = context.client->GetTask(read.graph_id, read.task);
    const bool launched = task.ok() && !task->attempts().empty();
    return launched ? task->attempts(task->attempts_size() - 1).number() : 0;
  };
  LogOutput messages(context, read.task, context.err, context.err);
  for (const v1::LogStream stream : streams) {
    v1::ReadLogResponse all;
    const absl::Status status = ReadTaskLog(
        context, context.client, read, stream,
        [&](int attempt, const v1::ReadLogResponse& part) {
          if (all.attempt() != attempt) {
            all.Clear();
            all.set_attempt(attempt);
            all.set_offset(part.offset());
          }
          all.mutable_data()->append(part.data());
        },
        [&] { messages.ServiceIsAway(stream); }, [&] { return context.out_terminal.has_reader(); });
    if (!status.ok()) return status;
    if (all.attempt() == 0) all.set_attempt(attempt());
    // The other stream of the same attempt, though one more may have been launched meanwhile.
    if (!read.follow) read.attempt = all.attempt();
    absl::StatusOr<std::string> text = ToJson(all);
    if (!text.ok() || streams.size() == 1) return text;
    absl::StrAppend(&json, json.empty() ? "" : ",\n", "\"", Word(stream), "\": ", *text);
  }
  return absl::StrCat("{\n", json, "}\n");
}

int LogsOfFailedTasks(const Context& context, const v1::Graph& graph,
                      const LogsArguments& arguments) {
  if (arguments.follow || arguments.attempt != 0) {
    *context.err << "kartograph: " << (arguments.follow ? "--follow" : "--attempt")
                 << " needs the name of a task\n";
    return kWrongUse;
  }
  v1::ListTasksRequest request;
  request.set_graph_id(graph.graph_id());
  request.add_states(v1::TASK_STATE_FAILED);
  const auto failed = ListAllTasks(context, request);
  if (!failed.ok()) return ReportError(context, failed.status());
  if (failed->tasks().empty() && !context.json) {
    *context.err << "no task of " << NameAndId(graph) << " has failed\n";
  }
  int code = kDone;
  std::string json;
  for (const v1::Task& task : failed->tasks()) {
    const LogRead read{.graph_id = graph.graph_id(), .task = task.name(), .tail = arguments.tail};
    absl::Status status;
    if (context.json) {
      const auto streams = StreamsAsJson(context, read, StreamsOf(arguments));
      status = streams.status();
      if (status.ok()) {
        absl::StrAppend(&json, json.empty() ? "" : ",\n", "\"", task.name(), "\": ", *streams);
      }
    } else {
      *context.out << "==> " << task.name() << ": " << Printable(task.reason()) << " <==\n";
      LogOutput output(context, task.name(), context.out, context.out);
      status = PrintStreams(context, read, StreamsOf(arguments), &output);
      if (!output.at_line_start()) *context.out << "\n";
      if (!output.writable()) return kOutputLost;
    }
    if (!status.ok()) code = ReportError(context, status);
    if (IsAway(status)) return code;
  }
  if (context.json) *context.out << "{\n" << json << "}\n";
  return code;
}

}  // namespace

int Logs(const Context& context, const LogsArguments& arguments) {
  const auto graph = FindGraph(context, arguments.graph);
  if (!graph.ok()) return ReportError(context, graph.status());
  if (arguments.task.empty()) return LogsOfFailedTasks(context, *graph, arguments);
  const LogRead read{.graph_id = graph->graph_id(),
                     .task = arguments.task,
                     .attempt = arguments.attempt,
                     .follow = arguments.follow,
                     .tail = arguments.tail};
  const auto report = [&](const absl::Status& status) {
    return ReportError(context, WithNearestTask(context, read.graph_id, read.task, status));
  };
  const std::vector<v1::LogStream> streams = StreamsOf(arguments);
  if (context.json) {
    const auto json = StreamsAsJson(context, read, streams);
    if (!json.ok()) return report(json.status());
    *context.out << *json;
    return kDone;
  }
  // Both as the task had them; one of them alone as what was asked for.
  LogOutput output(context, arguments.task, context.out,
                   streams.size() > 1 ? context.err : context.out);
  const absl::Status status = arguments.follow && streams.size() > 1
                                  ? FollowBothStreams(context, read, &output, [] { return true; })
                                  : PrintStreams(context, read, streams, &output);
  if (!output.writable()) return kOutputLost;
  return status.ok() ? int{kDone} : report(status);
}

}  // namespace kartograph::cli
