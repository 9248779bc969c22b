#include "cli/text.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/byte_size.h"
#include "base/duration.h"
#include "cli/proto_time.h"
#include "cli/terminal.h"

namespace kartograph::cli {
namespace {

// What UTF-8 text takes on the screen, but for characters that are wider than others.
size_t Columns(absl::string_view text) {
  return absl::c_count_if(text,
                          [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

}  // namespace

absl::string_view Word(v1::GraphState state) {
  switch (state) {
    case v1::GRAPH_STATE_RUNNING:
      return "running";
    case v1::GRAPH_STATE_SUCCEEDED:
      return "succeeded";
    case v1::GRAPH_STATE_FAILED:
      return "failed";
    case v1::GRAPH_STATE_CANCELLED:
      return "cancelled";
    default:
      return "unknown";
  }
}

absl::string_view Word(v1::TaskState state) {
  switch (state) {
    case v1::TASK_STATE_WAITING:
      return "waiting";
    case v1::TASK_STATE_READY:
      return "ready";
    case v1::TASK_STATE_LAUNCHING:
      return "launching";
    case v1::TASK_STATE_RUNNING:
      return "running";
    case v1::TASK_STATE_SUCCEEDED:
      return "succeeded";
    case v1::TASK_STATE_FAILED:
      return "failed";
    case v1::TASK_STATE_CANCELLED:
      return "cancelled";
    case v1::TASK_STATE_SKIPPED:
      return "skipped";
    default:
      return "unknown";
  }
}

absl::string_view Word(v1::Outcome outcome) {
  switch (outcome) {
    case v1::OUTCOME_SUCCEEDED:
      return "succeeded";
    case v1::OUTCOME_EXITED:
      return "exited";
    case v1::OUTCOME_SIGNALLED:
      return "signalled";
    case v1::OUTCOME_TIMED_OUT:
      return "timed out";
    case v1::OUTCOME_OUT_OF_MEMORY:
      return "out of memory";
    case v1::OUTCOME_CANCELLED:
      return "cancelled";
    case v1::OUTCOME_NOT_STARTED:
      return "not started";
    case v1::OUTCOME_RESULT_TOO_LARGE:
      return "result too large";
    case v1::OUTCOME_LOST:
      return "lost";
    case v1::OUTCOME_REFUSED:
      return "refused";
    case v1::OUTCOME_DROPPED:
      return "dropped";
    case v1::OUTCOME_GONE:
      return "gone";
    case v1::OUTCOME_UNREACHABLE:
      return "unreachable";
    case v1::OUTCOME_AGENT_FAILED:
      return "agent failed";
    case v1::OUTCOME_PREEMPTED:
      return "preempted";
    default:
      return "";
  }
}

std::string WhatBecameOfIt(v1::TaskState state) {
  switch (state) {
    case v1::TASK_STATE_SUCCEEDED:
    case v1::TASK_STATE_FAILED:
      return absl::StrCat("has ", Word(state));
    case v1::TASK_STATE_CANCELLED:
    case v1::TASK_STATE_SKIPPED:
      return absl::StrCat("was ", Word(state));
    default:
      return absl::StrCat("is ", Word(state));
  }
}

std::optional<v1::GraphState> GraphStateFromWord(absl::string_view word) {
  for (const v1::GraphState state : {v1::GRAPH_STATE_RUNNING, v1::GRAPH_STATE_SUCCEEDED,
                                     v1::GRAPH_STATE_FAILED, v1::GRAPH_STATE_CANCELLED}) {
    if (Word(state) == absl::AsciiStrToLower(word)) return state;
  }
  return std::nullopt;
}

std::string NameAndId(const v1::Graph& graph) {
  return absl::StrCat(Printable(graph.spec().name()), " (", graph.graph_id(), ")");
}

int FinalTasks(const v1::TaskCounts& counts) {
  return counts.succeeded() + counts.failed() + counts.cancelled() + counts.skipped();
}

std::string CountsInWords(const v1::TaskCounts& counts) {
  std::string words = absl::StrCat(counts.succeeded(), " of ", counts.total(), " done");
  const auto add = [&words](int count, absl::string_view what) {
    if (count > 0) absl::StrAppend(&words, ", ", count, " ", what);
  };
  add(counts.running(), "running");
  add(counts.launching(), "launching");
  add(counts.ready(), "ready");
  add(counts.waiting(), "waiting");
  add(counts.failed(), "failed");
  add(counts.skipped(), "skipped");
  add(counts.cancelled(), "cancelled");
  return words;
}

std::string FormatQuantity(absl::string_view resource, double units) {
  if (resource == "ram" || resource == "disk") return FormatBytes(units);
  return FormatThousandths(std::llround(units * 1000));
}

std::string Quantities(const google::protobuf::Map<std::string, double>& quantities) {
  std::string words;
  for (const auto& [name, quantity] :
       std::map<std::string, double>(quantities.begin(), quantities.end())) {
    absl::StrAppend(&words, words.empty() ? "" : " ", name, "=", FormatQuantity(name, quantity));
  }
  return words;
}

std::string ShellWord(absl::string_view word) {
  const auto plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::string_view("_-./:=@%+,").find(c) != absl::string_view::npos;
  };
  if (!word.empty() && absl::c_all_of(word, plain)) return std::string(word);
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string Labelled(absl::string_view what, absl::string_view text, int indent) {
  const std::string margin(indent, ' ');
  absl::ConsumeSuffix(&text, "\n");
  if (!absl::StrContains(text, '\n')) {
    return absl::StrCat(margin, what, ": ", Printable(text), "\n");
  }
  std::string lines = absl::StrCat(margin, what, ":\n");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!line.empty()) absl::StrAppend(&lines, margin, "  ", Printable(line));
    lines += '\n';
  }
  return lines;
}

std::string UtcTime(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", FromProto(time), absl::UTCTimeZone());
}

absl::Duration TimeTaken(const v1::Graph& graph, absl::Time now) {
  const absl::Time end = graph.has_end_time() ? FromProto(graph.end_time()) : now;
  return std::max(absl::ZeroDuration(), end - FromProto(graph.submit_time()));
}

std::string UsageInWords(const v1::Attempt& attempt, absl::Time now) {
  std::string words;
  if (attempt.has_usage() && attempt.usage().has_wall_time()) {
    words = FormatElapsed(FromProto(attempt.usage().wall_time()));
  } else if (attempt.has_start_time()) {
    const absl::Time end = attempt.has_end_time() ? FromProto(attempt.end_time()) : now;
    words = FormatElapsed(end - FromProto(attempt.start_time()));
  }
  if (attempt.usage().peak_ram_bytes() > 0) {
    absl::StrAppend(&words, words.empty() ? "" : ", ",
                    FormatBytes(static_cast<double>(attempt.usage().peak_ram_bytes())));
  }
  return words;
}

void Table::Row(const std::vector<std::string>& cells) {
  std::vector<std::string>& row = rows_.emplace_back();
  for (const std::string& cell : cells) row.push_back(Printable(cell));
}

std::string Table::ToString(int indent) const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    text.append(indent, ' ');
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - Columns(row[i]) + 2, ' ');
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    text += '\n';
  }
  return text;
}

}  // namespace kartograph::cli
