#include "cli/follow.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/terminal_text.h"
#include "cli/file_problems.h"
#include "cli/patience.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/text.h"

namespace kartograph::cli {
namespace {

constexpr int kMaxFailuresShown = 10;
constexpr int kTailBytes = 4096;
constexpr size_t kTailLines = 12;
constexpr absl::Duration kLastChanges = absl::Seconds(3);
constexpr absl::Duration kIdle = absl::Seconds(2);  // how often to look why nothing runs

Instant Now() { return Clock::System().Now(); }

bool IsFinal(const v1::Graph& graph) {
  return graph.state() != v1::GRAPH_STATE_UNSPECIFIED && graph.state() != v1::GRAPH_STATE_RUNNING;
}

// A stream begins without changes, so what runs at that moment has to be asked for. Only cosmetic:
// errors do not matter.
void AskWhatRuns(const Context& context, const std::string& graph_id, Progress* progress) {
  v1::ListTasksRequest request;
  request.set_graph_id(graph_id);
  request.set_page_size(100);
  request.add_states(v1::TASK_STATE_RUNNING);
  const auto tasks = context.client->ListTasks(request);
  if (!tasks.ok()) return;
  std::vector<std::string> names;
  for (const v1::Task& task : tasks->tasks()) names.push_back(task.name());
  progress->SetRunning(names);
}

// Says why nothing of a graph runs, once that has lasted a while. Only cosmetic, as above.
class IdleNotice {
 public:
  IdleNotice(const Context& context, Progress* progress)
      : context_(context), progress_(*progress) {}

  // To be called with what the service says of the graph.
  void Update(const v1::Graph& graph) {
    graph_ = graph;
    next_look_ = Now().steady + kIdle;
  }
  // To be called several times a second.
  void Tick() {
    const v1::TaskCounts& counts = graph_.counts();
    if (IsFinal(graph_) || counts.running() + counts.launching() > 0) return;
    if (Now().steady < next_look_) return;
    next_look_ = Now().steady + kIdle;
    v1::ListTasksRequest request;
    request.set_graph_id(graph_.graph_id());
    request.set_page_size(1);
    request.add_states(v1::TASK_STATE_READY);
    const auto tasks = context_.client->ListTasks(request);
    if (!tasks.ok() || tasks->tasks().empty() || tasks->tasks(0).reason().empty()) return;
    progress_.SetNotice(
        absl::StrCat(tasks->tasks(0).name(), ": ", Printable(tasks->tasks(0).reason())), Now());
  }

 private:
  const Context& context_;
  Progress& progress_;
  v1::Graph graph_;
  SteadyTime next_look_ = SteadyTime::InfiniteFuture();
};

// The last lines that the task's last attempt wrote to stderr, or to stdout where that is empty.
std::string LogTail(const Context& context, const v1::Task& task) {
  for (const v1::LogStream stream : {v1::LOG_STREAM_STDERR, v1::LOG_STREAM_STDOUT}) {
    v1::ReadLogRequest request;
    request.set_graph_id(task.graph_id());
    request.set_task_name(task.name());
    request.set_stream(stream);
    request.set_offset(-kTailBytes);
    std::string tail;
    bool from_start = true;
    const SteadyTime give_up = Now().steady + absl::Seconds(5);
    const absl::Status status = context.client->ReadLog(
        request,
        [&](const v1::ReadLogResponse& part) {
          if (tail.empty()) from_start = part.offset() == 0;
          tail += part.data();
          return true;
        },
        [&] { return Now().steady < give_up; });
    if (!status.ok() || tail.empty()) continue;
    tail = WithoutOverwritten(tail);
    absl::string_view text = tail;
    // What is not from the start may begin in the middle of a line.
    const size_t newline = text.find('\n');
    if (!from_start && newline != absl::string_view::npos) text.remove_prefix(newline + 1);
    absl::ConsumeSuffix(&text, "\n");
    std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
    if (lines.size() > kTailLines) lines.erase(lines.begin(), lines.end() - kTailLines);
    std::string shown;
    for (absl::string_view line : lines) absl::StrAppend(&shown, "    | ", Printable(line), "\n");
    return shown;
  }
  return "";
}

void PrintFailures(const Context& context, const v1::Graph& graph, std::ostream* out) {
  v1::ListTasksRequest request;
  request.set_graph_id(graph.graph_id());
  request.add_states(v1::TASK_STATE_FAILED);
  const auto failed = ListAllTasks(context, request, kMaxFailuresShown);
  if (!failed.ok()) {
    *out << "  (cannot list the failed tasks: " << Printable(failed.status().message()) << ")\n";
    return;
  }
  for (const v1::Task& task : failed->tasks()) {
    *out << "  " << task.name() << " failed: " << Printable(task.reason());
    *out << "\n" << LogTail(context, task);
  }
  const int more = graph.counts().failed() - failed->tasks_size();
  if (more > 0) *out << "  and " << Count(more, "more failed task") << "\n";
  if (failed->tasks_size() > 0) {
    *out << "  Full output of a task: kartograph logs " << graph.graph_id() << " "
         << failed->tasks(0).name() << "\n"
         << "  Retry what failed: kartograph retry " << graph.graph_id() << "\n";
  }
}

}  // namespace

void PrintSummary(const Context& context, const v1::Graph& graph, absl::Duration taken,
                  std::ostream* out) {
  const v1::TaskCounts& counts = graph.counts();
  *out << NameAndId(graph) << " " << Word(graph.state()) << " after " << FormatElapsed(taken)
       << ": " << CountsInWords(counts) << "\n";
  if (counts.failed() > 0) PrintFailures(context, graph, out);
  out->flush();
}

int FollowGraph(const Context& context, const std::string& graph_id, std::ostream* out,
                absl::Time started) {
  if (context.json) out = context.err;
  const Terminal& terminal = out == context.out ? context.out_terminal : context.err_terminal;
  const InterruptFlag interrupt;
  Progress progress(terminal, started, [out](absl::string_view text) {
    out->write(text.data(), static_cast<std::streamsize>(text.size()));
    out->flush();
  });
  IdleNotice idle(context, &progress);
  Patience patience(context.patience);
  v1::Graph graph;
  graph.set_graph_id(graph_id);
  SteadyTime final_since = SteadyTime::InfiniteFuture();
  // The result comes on the other output: at the end as JSON, otherwise all of it before this.
  const auto writable = [&] {
    return out->good() && terminal.has_reader() && context.out->good() &&
           (!context.json || context.out_terminal.has_reader());
  };
  const auto goes_on = [&] { return !interrupt.raised() && writable(); };
  const auto tick = [&] {
    progress.Tick(Now());
    // The last changes may come after the graph's last state; the service ends the stream then.
    return goes_on() && Now().steady - final_since < kLastChanges;
  };
  absl::Status status;
  while (goes_on()) {
    bool first = true;
    status = context.client->WatchGraph(
        graph_id,
        [&](const v1::WatchGraphResponse& update) {
          patience.Renew();
          graph = update.graph();
          progress.SetNotice("", Now());
          if (first && !IsFinal(graph)) AskWhatRuns(context, graph_id, &progress);
          first = false;
          progress.Update(update, Now());
          idle.Update(graph);
          if (IsFinal(graph)) final_since = std::min(final_since, Now().steady);
          return goes_on();
        },
        [&] {
          idle.Tick();
          return tick();
        });
    if (IsFinal(graph) || !goes_on()) break;
    // A service that stops may end the stream politely; the graph is not final, so ask again.
    if (!status.ok() && !IsAway(status)) break;
    progress.SetNotice("the service is unavailable, trying again", Now());
    if (!patience.Pause(tick)) break;
  }
  progress.Finish(Now());
  if (!writable()) return kOutputLost;

  if (IsFinal(graph)) {
    const absl::Duration taken =
        started == absl::InfinitePast() ? TimeTaken(graph, Now().wall) : Now().wall - started;
    PrintSummary(context, graph, taken, out);
    if (context.json) PrintJson(context, graph);
    return graph.state() == v1::GRAPH_STATE_SUCCEEDED ? kDone : kNotSucceeded;
  }
  if (interrupt.raised()) {
    *context.err << NameAndId(graph) << " is still running.\n"
                 << "  Follow it: kartograph watch " << graph_id << "\n"
                 << "  Cancel it: kartograph cancel " << graph_id << "\n";
    return kInterrupted;
  }
  if (status.ok()) status = absl::UnavailableError("");
  const int code = ReportError(context, status);
  if (code == kUnreachable) {
    *context.err << "The graph continues when the service is back: kartograph watch " << graph_id
                 << "\n";
  }
  return code;
}

}  // namespace kartograph::cli
