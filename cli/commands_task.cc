// What there is to know of one task: status GRAPH TASK, result.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/byte_size.h"
#include "base/duration.h"
#include "cli/commands.h"
#include "cli/proto_time.h"
#include "cli/report.h"
#include "cli/text.h"
#include "planner/constraints.h"

namespace kartograph::cli {
namespace {

std::string CommandLine(const v1::Command& command) {
  if (command.arguments().empty()) return command.shell();
  std::string line = absl::StrJoin(
      command.arguments(), " ",
      [](std::string* text, const std::string& word) { absl::StrAppend(text, ShellWord(word)); });
  if (!command.shell().empty()) absl::StrAppend(&line, " ", ShellWord(command.shell()));
  return line;
}

std::string WhenStarted(const v1::Attempt& attempt) {
  if (attempt.has_start_time()) return UtcTime(attempt.start_time());
  return attempt.has_launch_time() ? absl::StrCat("launched ", UtcTime(attempt.launch_time())) : "";
}

std::string AttemptState(const v1::Attempt& attempt) {
  const absl::string_view outcome = Word(attempt.outcome());
  return std::string(outcome.empty() ? Word(attempt.state()) : outcome);
}

// As explanations say it.
std::string Words(const v1::Constraint& message) {
  planner::Constraint constraint;
  constraint.attribute = message.attribute();
  constraint.negated = message.negated();
  if (message.has_equals()) {
    constraint.values = {message.equals()};
  } else if (message.has_matches()) {
    constraint.op = planner::Constraint::Operator::kMatches;
    constraint.values = {message.matches()};
  } else {
    constraint.op = planner::Constraint::Operator::kOneOf;
    constraint.values.assign(message.one_of().begin(), message.one_of().end());
  }
  return constraint.ToString();
}

void PrintSpec(const v1::TaskSpec& spec, std::ostream* out) {
  const auto line = [&](absl::string_view what, absl::string_view text) {
    if (!text.empty()) *out << Labelled(what, text, 2);
  };
  const auto duration = [&](absl::string_view what, bool given,
                            const google::protobuf::Duration& value) {
    if (given) line(what, FormatSetting(FromProto(value)));
  };
  line("command", CommandLine(spec.command()));
  line("directory", spec.command().directory());
  line("container", spec.container().image());
  line("after", absl::StrJoin(spec.after(), ", "));
  duration("timeout", spec.has_timeout(), spec.timeout());
  duration("expected_duration", spec.has_expected_duration(), spec.expected_duration());
  if (spec.priority() != 0) line("priority", absl::StrCat(spec.priority()));
  duration("cancel_grace", spec.has_cancel_grace(), spec.cancel_grace());
  if (spec.max_attempts() > 1) {
    line("max_attempts", absl::StrCat(spec.max_attempts()));
    duration("retry_delay", spec.has_retry_delay(), spec.retry_delay());
    duration("max_retry_delay", spec.has_max_retry_delay(), spec.max_retry_delay());
  }
  line("retry_on", absl::StrJoin(spec.retry_on(), ", "));
  line("no_retry_on", absl::StrJoin(spec.no_retry_on(), ", "));
  for (const v1::Constraint& constraint : spec.constraints()) {
    line("constraint", Words(constraint));
  }
  if (spec.has_spread()) {
    line("spread", absl::StrCat("at most ", spec.spread().per_agent(), " of group \"",
                                spec.spread().group(), "\" on an agent"));
  }
  if (spec.avoid_last_failure()) line("avoid_last_failure", "true");
  if (spec.preemptible()) line("preemptible", "true");
  duration("unreachable_timeout", spec.has_unreachable_timeout(), spec.unreachable_timeout());
}

}  // namespace

int TaskStatus(const Context& context, const v1::Graph& graph, const std::string& name) {
  const auto task = context.client->GetTask(graph.graph_id(), name);
  if (!task.ok()) {
    return ReportError(context, WithNearestTask(context, graph.graph_id(), name, task.status()));
  }
  if (context.json) {
    PrintJson(context, *task);
    return kDone;
  }
  const absl::Time now = absl::Now();
  std::ostream& out = *context.out;
  out << NameAndId(graph) << ", task " << task->name() << ": " << Word(task->state())
      << (task->reason().empty() ? "" : ", ") << Printable(task->reason()) << "\n";
  const std::string consumption = Quantities(task->consumption());
  if (!consumption.empty()) out << "  consumption: " << consumption << "\n";
  PrintSpec(task->spec(), &out);
  if (!task->return_value().empty()) {
    out << "  return value: " << FormatBytes(static_cast<double>(task->return_value().size()))
        << "; \"kartograph result " << graph.graph_id() << " " << task->name() << "\" prints it\n";
  }
  if (task->attempts().empty()) return kDone;
  if (!task->attempts().rbegin()->sandbox().empty()) {
    out << "  folder: " << task->attempts().rbegin()->sandbox() << "\n";
  }
  Table attempts({"ATTEMPT", "STATE", "AGENT", "STARTED", "USED", "WHY"});
  const int before = task->attempts_before_retry();
  for (const v1::Attempt& attempt : task->attempts()) {
    const bool retried = before > 0 && attempt.number() > before;
    attempts.Row(
        {absl::StrCat(
             attempt.number(),
             retried ? absl::StrCat(" (", attempt.number() - before, " since the retry)") : ""),
         AttemptState(attempt), attempt.agent(), WhenStarted(attempt), UsageInWords(attempt, now),
         attempt.message()});
  }
  out << "\n" << attempts.ToString();
  return kDone;
}

int Result(const Context& context, const std::string& id_or_name, const std::string& name) {
  const auto graph = FindGraph(context, id_or_name);
  if (!graph.ok()) return ReportError(context, graph.status());
  const auto task = context.client->GetTask(graph->graph_id(), name);
  if (!task.ok()) {
    return ReportError(context, WithNearestTask(context, graph->graph_id(), name, task.status()));
  }
  if (context.json) {
    PrintJson(context, *task);
  } else {
    context.out->write(task->return_value().data(),
                       static_cast<std::streamsize>(task->return_value().size()));
    context.out->flush();
  }
  if (task->state() == v1::TASK_STATE_SUCCEEDED) return kDone;
  *context.err << "kartograph: " << task->name() << " " << WhatBecameOfIt(task->state())
               << (task->reason().empty() ? "" : ": ") << Printable(task->reason()) << "\n";
  return kNotSucceeded;
}

}  // namespace kartograph::cli
