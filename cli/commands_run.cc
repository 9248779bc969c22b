// run: one task, as if it ran here.
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/utf8.h"
#include "cli/command_advice.h"
#include "cli/commands.h"
#include "cli/field_place.h"
#include "cli/graph_file.h"
#include "cli/log_output.h"
#include "cli/patience.h"
#include "cli/proto_time.h"
#include "cli/report.h"
#include "cli/text.h"
#include "planner/names.h"
#include "planner/resources.h"

namespace kartograph::cli {
namespace {

constexpr absl::Duration kLook = absl::Seconds(1);  // how often to look why it does not run yet
// As shells have them.
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;
constexpr int kSignalled = 128;  // and the signal's number

// The option that gives how much of a resource the task takes.
std::string ConsumptionOption(absl::string_view resource) {
  if (resource == "cpu" || resource == "ram") return absl::StrCat("--", resource);
  return absl::StrCat("--resource ", resource);
}

// The option that a field of the service's problems comes from; empty where there is none.
std::string OptionOf(const std::vector<FieldStep>& field) {
  // As in tasks["sh"].consumption["cpu"] and task.command.environment["A"].
  const size_t task = field.empty() || field[0].key != "tasks" ? 1 : 2;
  if (field.size() <= task) return "";
  const std::string& key = field[task].key;
  const std::string& part = field.size() > task + 1 ? field[task + 1].key : key;
  if (key == "consumption") return field.size() > task + 1 ? ConsumptionOption(part) : "--resource";
  if (key == "timeout" || key == "name" || key == "priority") return absl::StrCat("--", key);
  if (key == "max_attempts") return "--max-attempts";
  if (part == "environment") return "--env";
  if (part == "directory") return "--directory";
  return part == "arguments" ? "COMMAND" : "";
}

// Fills in `spec`; what is wrong with the arguments, where something is. What is probably a mistake
// is added to `warnings`.
std::string ReadArguments(const RunArguments& arguments, v1::TaskSpec* spec,
                          std::vector<std::string>* warnings) {
  for (const std::string& word : arguments.command) spec->mutable_command()->add_arguments(word);
  spec->set_name(arguments.name.empty() ? NameFromPath(arguments.command[0]) : arguments.name);
  const std::string name_problem = planner::NameProblem(spec->name());
  if (!name_problem.empty())
    return absl::StrCat("--name: ", Quoted(spec->name()), " ", name_problem);

  for (const std::string& text : arguments.consumption) {
    const std::pair<absl::string_view, absl::string_view> part =
        absl::StrSplit(text, absl::MaxSplits('=', 1));
    if (!absl::StrContains(text, '=')) {
      return absl::StrCat("--resource: ", Quoted(text), " is not NAME=QUANTITY, such as gpu=1");
    }
    if (const std::string problem = planner::ResourceNameProblem(part.first); !problem.empty()) {
      return absl::StrCat("--resource: ", Quoted(part.first), " ", problem);
    }
    const auto quantity = planner::ParseQuantity(part.second, part.first);
    if (!quantity.ok()) {
      return absl::StrCat(ConsumptionOption(part.first), ": ", Quoted(part.second), " ",
                          quantity.status().message());
    }
    const std::string name(part.first);
    if (name == "ram") {
      const std::string advice = RamAdvice(part.second, *quantity);
      if (!advice.empty()) warnings->push_back(absl::StrCat("--ram: ", advice));
    }
    if (spec->consumption().contains(name)) {
      return absl::StrCat("--resource: ", name, " is given twice; give it once");
    }
    (*spec->mutable_consumption())[name] = quantity->units();
  }
  for (const std::string& text : arguments.environment) {
    const std::pair<std::string, std::string> variable =
        absl::StrSplit(text, absl::MaxSplits('=', 1));
    if (!absl::StrContains(text, '=') || variable.first.empty()) {
      return absl::StrCat("--env: ", Quoted(text), " is not NAME=VALUE");
    }
    if (spec->command().environment().contains(variable.first)) {
      return absl::StrCat("--env: ", Quoted(variable.first), " is given twice; give it once");
    }
    (*spec->mutable_command()->mutable_environment())[variable.first] = variable.second;
  }
  if (!arguments.timeout.empty()) {
    const auto timeout = ParseDuration(arguments.timeout);
    if (!timeout.ok()) {
      return absl::StrCat("--timeout: ", Quoted(arguments.timeout), " ",
                          timeout.status().message());
    }
    *spec->mutable_timeout() = ToProto(*timeout);
  }
  spec->set_max_attempts(arguments.max_attempts);
  spec->set_priority(arguments.priority);
  if (arguments.sandbox) return "";
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::absolute(
      arguments.directory.empty() ? std::filesystem::current_path(error)
                                  : std::filesystem::path(arguments.directory),
      error);
  if (error) return absl::StrCat("the working directory cannot be found: ", error.message());
  if (!IsValidUtf8(folder.native())) {
    return absl::StrCat("the directory ", Quoted(folder.native()), " is not valid UTF-8");
  }
  spec->mutable_command()->set_directory(folder.lexically_normal().string());
  return "";
}

bool IsFinal(v1::TaskState state) {
  return state == v1::TASK_STATE_SUCCEEDED || state == v1::TASK_STATE_FAILED ||
         state == v1::TASK_STATE_CANCELLED || state == v1::TASK_STATE_SKIPPED;
}

// Whether the program names a folder, as a shell would say before it tries to start it.
bool IsFolder(const RunArguments& arguments) {
  const std::string& program = arguments.command[0];
  const bool is_path = absl::StrContains(program, '/') || program == "." || program == "..";
  std::error_code ignored;
  return is_path && !arguments.sandbox &&
         std::filesystem::is_directory(std::filesystem::path(arguments.directory) / program,
                                       ignored);
}

// What happens while the output is followed.
class Companion {
 public:
  Companion(const Context& context, const v1::ExecuteResponse& made, const InterruptFlag& interrupt)
      : context_(context),
        interrupt_(interrupt),
        graph_id_(made.graph_id()),
        task_(made.task_name()),
        client_(context.client->options()),
        next_look_(Clock::System().SteadyNow() + kLook) {}

  // To be called several times a second: cancels the task on the first signal, and says why it does
  // not run yet.
  void Tick() {
    if (interrupt_.raised()) Cancel("press Ctrl-C again to stop waiting");
    const SteadyTime now = Clock::System().SteadyNow();
    if (started_ || now < next_look_) return;
    next_look_ = now + kLook;
    const auto task = client_.GetTask(graph_id_, task_);
    if (!task.ok()) return;  // the output's reader says so
    started_ = task->state() == v1::TASK_STATE_RUNNING || IsFinal(task->state());
    if (started_ || task->reason() == reason_) return;
    reason_ = task->reason();
    *context_.err << "kartograph: " << task_ << " (" << graph_id_
                  << ") is not running yet: " << Printable(reason_) << std::endl;
  }
  // Once; `note` says something of it.
  void Cancel(absl::string_view note) {
    if (std::exchange(cancelled_, true)) return;
    *context_.err << "kartograph: cancelling " << task_ << " (" << graph_id_ << "); " << note
                  << std::endl;
    v1::CancelRequest request;
    request.set_graph_id(graph_id_);
    const auto response = client_.Cancel(request);
    if (!response.ok()) ReportError(context_, response.status());
  }
  bool cancelled() const { return cancelled_; }

 private:
  const Context& context_;
  const InterruptFlag& interrupt_;
  const std::string graph_id_;
  const std::string task_;
  Client client_;  // of its own: the other one is reading
  SteadyTime next_look_;
  bool started_ = false;
  bool cancelled_ = false;
  std::string reason_;
};

// The task in its last state, which it usually has when its output ends.
absl::StatusOr<v1::Task> WaitUntilFinal(const Context& context, const v1::ExecuteResponse& made,
                                        LogOutput* output, Companion* companion) {
  Patience away(context.patience);
  Patience running(absl::InfiniteDuration());
  const auto goes_on = [&] {
    companion->Tick();
    return true;
  };
  while (true) {
    absl::StatusOr<v1::Task> task = context.client->GetTask(made.graph_id(), made.task_name());
    if (task.ok()) {
      away.Renew();
      if (IsFinal(task->state())) return task;
      running.Pause(goes_on);
    } else if (IsAway(task.status())) {
      output->ServiceIsAway(v1::LOG_STREAM_STDOUT);
      if (!away.Pause(goes_on)) return task;
    } else {
      return task;
    }
  }
}

int ExitStatus(const Context& context, const v1::Task& task) {
  if (task.state() == v1::TASK_STATE_SUCCEEDED) return kDone;
  const v1::Attempt last =
      task.attempts().empty() ? v1::Attempt() : task.attempts(task.attempts_size() - 1);
  if (task.state() == v1::TASK_STATE_FAILED && last.outcome() == v1::OUTCOME_EXITED) {
    return last.exit_status();
  }
  *context.err << "kartograph: " << task.name() << " " << WhatBecameOfIt(task.state())
               << (task.reason().empty() ? "" : ": ") << Printable(task.reason()) << "\n";
  if (task.state() != v1::TASK_STATE_FAILED) return kNotSucceeded;
  if (last.outcome() == v1::OUTCOME_SIGNALLED) return kSignalled + last.signal();
  if (last.outcome() != v1::OUTCOME_NOT_STARTED) return kNotSucceeded;
  const auto& words = task.spec().command().arguments();
  if (words.size() == 1 && words[0].find_first_of(" |&;<>$") != std::string::npos) {
    *context.err << "  run starts a program; for a shell line: kartograph run -- sh -c "
                 << ShellWord(words[0]) << "\n";
  }
  return absl::StrContains(last.message(), "No such file") ? kNotFound : kNotExecutable;
}

}  // namespace

int Run(const Context& context, const RunArguments& arguments) {
  v1::ExecuteRequest request;
  std::vector<std::string> warnings;
  const std::string problem = ReadArguments(arguments, request.mutable_task(), &warnings);
  if (!problem.empty()) {
    *context.err << "kartograph: " << problem << "\n";
    return kWrongUse;
  }
  if (IsFolder(arguments)) {
    *context.err << "kartograph: " << Printable(arguments.command[0]) << ": is a directory\n";
    return kNotExecutable;
  }
  for (const std::string& warning : warnings) {
    *context.err << "kartograph: warning: " << warning << "\n";
  }
  const InterruptFlag interrupt({SIGINT, SIGTERM, SIGHUP});
  const auto made = context.client->Execute(request);
  if (!made.ok()) return ReportError(context, made.status(), OptionOf);

  Companion companion(context, *made, interrupt);
  LogOutput output(context, made->task_name(), context.json ? context.err : context.out,
                   context.err);
  const absl::Status read = FollowBothStreams(
      context, {.graph_id = made->graph_id(), .task = made->task_name(), .follow = true}, &output,
      [&] {
        companion.Tick();
        return true;
      });
  if (!output.writable()) {
    // As a program ends that writes to a pipe without a reader.
    companion.Cancel("its output cannot be written");
    return kOutputLost;
  }
  const auto task = WaitUntilFinal(context, *made, &output, &companion);
  if (!task.ok()) {
    *context.err << "kartograph: " << made->task_name() << " (" << made->graph_id()
                 << ") keeps running\n";
    return ReportError(context, task.status());
  }
  // There is none of a task that was never launched, which the exit code says better.
  if (!read.ok() && !absl::IsNotFound(read)) {
    *context.err << "kartograph: its output cannot be read: " << Printable(read.message()) << "\n";
  }
  if (context.json) PrintJson(context, *task);
  return companion.cancelled() ? kSignalled + interrupt.signal() : ExitStatus(context, *task);
}

}  // namespace kartograph::cli
