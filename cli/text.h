// How the contract's messages read for a person.
#ifndef KARTOGRAPH_CLI_TEXT_H_
#define KARTOGRAPH_CLI_TEXT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "google/protobuf/map.h"

namespace kartograph::cli {

// Lower-case words.
absl::string_view Word(v1::GraphState state);
absl::string_view Word(v1::TaskState state);
absl::string_view Word(v1::Outcome outcome);
// What to say of a task in this state: "is running", "has failed", "was cancelled".
std::string WhatBecameOfIt(v1::TaskState state);
// Nothing where `word` names none; the known ones are in kGraphStateWords.
std::optional<v1::GraphState> GraphStateFromWord(absl::string_view word);
inline constexpr absl::string_view kGraphStateWords = "running, succeeded, failed, cancelled";

// "map_release (g17)".
std::string NameAndId(const v1::Graph& graph);
// "118 of 226 done, 4 running, 1 failed, ...": what is not zero.
std::string CountsInWords(const v1::TaskCounts& counts);
// Tasks that are in their last state.
int FinalTasks(const v1::TaskCounts& counts);
// "4", "0.5"; of ram and disk "512MiB".
std::string FormatQuantity(absl::string_view resource, double units);
// "cpu=1 ram=512MiB", by name.
std::string Quantities(const google::protobuf::Map<std::string, double>& quantities);
// "2024-05-01T13:45:10Z": the zone of the service's own texts, too.
std::string UtcTime(const google::protobuf::Timestamp& time);
// How long a graph took, or takes until `now`.
absl::Duration TimeTaken(const v1::Graph& graph, absl::Time now);

// As it could be typed at a shell.
std::string ShellWord(absl::string_view word);
// "WHAT: TEXT" on a line with `indent` spaces before it, made printable; of a text of several
// lines, such as a script, each on a line of its own below WHAT. Ends with a newline.
std::string Labelled(absl::string_view what, absl::string_view text, int indent);
// What an attempt took: "2.1 s, 40MiB"; one that runs, until `now`.
std::string UsageInWords(const v1::Attempt& attempt, absl::Time now);

// A table of left-aligned columns, two spaces between them; the last one is not padded. Cells are
// made printable: they hold what others wrote.
class Table {
 public:
  explicit Table(const std::vector<std::string>& header) { Row(header); }
  void Row(const std::vector<std::string>& cells);
  bool empty() const { return rows_.size() < 2; }
  // With `indent` spaces before each line.
  std::string ToString(int indent = 0) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_TEXT_H_
