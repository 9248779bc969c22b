#include "cli/task_reader.h"

#include <filesystem>
#include <iterator>
#include <limits>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "base/duration.h"
#include "base/exec_limits.h"
#include "cli/command_advice.h"
#include "cli/foreign_words.h"
#include "cli/proto_time.h"
#include "planner/constraints.h"
#include "planner/eligibility.h"
#include "planner/labels.h"
#include "planner/names.h"
#include "planner/resources.h"
#include "planner/retry_rule.h"
#include "planner/spread.h"

namespace kartograph::cli {
namespace {

using Kind = YamlTree::Kind;

constexpr absl::string_view kTaskKeys[] = {
    "name",
    "command",
    "after",
    "consumption",
    "environment",
    "directory",
    "timeout",
    "max_attempts",
    "retry_delay",
    "max_retry_delay",
    "cancel_grace",
    "priority",
    "unreachable_timeout",
    "max_losses",
    "container",
    "shell",
    "retry_on",
    "no_retry_on",
    "labels",
    "expected_duration",
    "constraints",
    "avoid_last_failure",
    "preemptible",
    "spread",
    "title",
};
// Those of a task but for its name, command and after, which come first, and its title, the last.
constexpr absl::Span<const absl::string_view> kDefaultsKeys =
    absl::MakeConstSpan(kTaskKeys).subspan(3, std::size(kTaskKeys) - 4);

constexpr absl::string_view kContainerKeys[] = {"image", "volumes"};
constexpr absl::string_view kConstraintKeys[] = {"attribute", "equals", "one_of", "matches",
                                                 "negated"};
constexpr absl::string_view kSpreadKeys[] = {"group", "per_agent"};
constexpr absl::string_view kVolumeKeys[] = {"host_path", "container_path", "read_only"};

}  // namespace

void TaskReader::ReadDefaults(YamlTree::Id map, const FieldPath& path) {
  for (const MapEntry& entry : ReadMap(tree_, map, path, problems_)) {
    if (ReadShared(entry, path, &defaults_.spec)) continue;
    if (entry.key == "shell") {
      ReadShell(entry.value, FieldPath(&path, entry.key), &defaults_.shell);
      continue;
    }
    if (entry.key == "name" || entry.key == "title" || entry.key == "command" ||
        entry.key == "after") {
      problems_->Add(
          tree_.mark(entry.key_id), path.ToString(),
          absl::StrCat(Quoted(entry.key), " cannot have a default; give it in each task"));
    } else {
      ReportUnknownKey(tree_, entry, path, kDefaultsKeys, problems_);
    }
  }
}

void TaskReader::ReadTask(YamlTree::Id map, const FieldPath& path, v1::TaskSpec* spec,
                          TaskNames* names) const {
  *spec = defaults_.spec;
  if (tree_.kind(map) != Kind::kMap) {
    ReportWrongType(tree_, map, path, "a task (a mapping with name and command)", problems_);
    if (names != nullptr) names->AddTask("", map);
    return;
  }
  YamlTree::Id name = YamlTree::kNone;
  YamlTree::Id after = YamlTree::kNone;
  YamlTree::Id command = YamlTree::kNone;
  YamlTree::Id shell = YamlTree::kNone;
  for (const MapEntry& entry : ReadMap(tree_, map, path, problems_)) {
    const FieldPath field(&path, entry.key);
    if (entry.key == "name") {
      name = entry.value;
      ReadString(name, field, spec->mutable_name());
      if (tree_.kind(name) != Kind::kScalar) continue;
      const std::string problem = planner::NameProblem(tree_.text(name));
      if (problem.empty()) continue;
      problems_->Add(tree_.mark(name), field.ToString(),
                     absl::StrCat(Quoted(tree_.text(name)), " ", problem));
    } else if (entry.key == "command") {
      command = entry.value;
      ReadCommand(command, field, spec->mutable_command());
    } else if (entry.key == "title") {
      if (tree_.kind(entry.value) != Kind::kNull) {
        ReadTitle(entry.value, field, spec->mutable_title());
      }
    } else if (entry.key == "after") {
      after = entry.value;
    } else if (entry.key == "shell") {
      if (tree_.kind(entry.value) != Kind::kNull) shell = entry.value;
    } else if (!ReadShared(entry, path, spec)) {
      ReportUnknownKey(tree_, entry, path, kTaskKeys, problems_);
    }
  }
  if (names != nullptr) {
    if (name == YamlTree::kNone) {
      names->AddTask("", map);
    } else {
      names->AddTask(tree_.text(name), name);
    }
  }
  if (after != YamlTree::kNone) ReadAfter(after, FieldPath(&path, "after"), spec, names);
  if (name == YamlTree::kNone) {
    problems_->Add(tree_.mark(map), path.ToString(), "the task has no name");
  }
  if (command == YamlTree::kNone) {
    problems_->Add(tree_.mark(map), path.ToString(), "the task has no command");
  }
  std::vector<std::string> given;
  if (shell != YamlTree::kNone) ReadShell(shell, FieldPath(&path, "shell"), &given);
  const std::vector<std::string>& used = shell == YamlTree::kNone ? defaults_.shell : given;
  const bool checked =
      command != YamlTree::kNone && names != nullptr;  // else it is sent, unchanged
  if (checked) {
    const bool in_own_folder = spec->command().directory().empty() && !spec->has_container();
    for (std::string& advice : CommandAdvice(spec->command(), used, in_own_folder)) {
      problems_->Warn(tree_.mark(command), FieldPath(&path, "command").ToString(),
                      std::move(advice));
    }
  }
  if (!used.empty() && !spec->command().shell().empty()) {
    for (const std::string& word : used) spec->mutable_command()->add_arguments(word);
    // What is longer than an argument stays the text of a shell, which becomes a file.
    if (spec->has_container() || spec->command().shell().size() <= kMaxExecString ||
        !OptionBeforeFile(used.back())) {
      std::string line = std::move(*spec->mutable_command()->mutable_shell());
      spec->mutable_command()->clear_shell();
      spec->mutable_command()->add_arguments(std::move(line));
    }
  }
  if (checked) CheckExecLimits(map, path, *spec);
}

void TaskReader::CheckExecLimits(YamlTree::Id map, const FieldPath& path,
                                 const v1::TaskSpec& spec) const {
  const v1::Command& command = spec.command();
  size_t total = 0;
  const auto add = [&](size_t bytes, absl::string_view what) {
    total += bytes + kExecStringOverhead;
    if (bytes <= kMaxExecString) return;
    problems_->Add(tree_.mark(map), path.ToString(),
                   absl::StrCat(what, " ", ExecStringProblem(bytes)));
  };
  for (const std::string& argument : command.arguments()) {
    add(argument.size(), "an argument of the command");
  }
  for (const auto& [name, value] : command.environment()) add(name.size() + 1 + value.size(), name);
  // Into a container no file can be put that holds the line.
  if (spec.has_container()) add(command.shell().size(), "the command");
  if (total > kMaxExecBytes) {
    problems_->Add(tree_.mark(map), path.ToString(), ExecBytesProblem(total));
  }
  if (std::string problem = PathProblem(command.directory().size()); !problem.empty()) {
    problems_->Add(tree_.mark(map), path.ToString(), absl::StrCat("the directory ", problem));
  }
}

template <typename Message>
void TaskReader::ReadInteger(YamlTree::Id id, const FieldPath& path, int32_t least, int32_t most,
                             void (Message::*set_field)(int32_t), Message* message) const {
  const std::string expected = absl::StrCat("a whole number from ", least, " to ", most);
  int64_t value;
  if (tree_.kind(id) != Kind::kScalar || tree_.quoted(id) ||
      !absl::SimpleAtoi(tree_.text(id), &value) || value < least || value > most) {
    ReportWrongType(tree_, id, path, expected, problems_);
    return;
  }
  (message->*set_field)(static_cast<int32_t>(value));
}

bool TaskReader::ReadShared(const MapEntry& entry, const FieldPath& path,
                            v1::TaskSpec* spec) const {
  const FieldPath field(&path, entry.key);
  const auto duration = [&](bool zero_allowed,
                            google::protobuf::Duration* (v1::TaskSpec::*mutable_field)()) {
    ReadDuration(entry.value, field, zero_allowed, mutable_field, spec);
  };
  if (tree_.kind(entry.value) == Kind::kNull) {
    // A key without a value changes nothing, so that a line can be emptied instead of removed.
    return absl::c_linear_search(kDefaultsKeys, entry.key);
  }
  if (entry.key == "consumption") {
    ReadQuantities(entry.value, field, *spec->mutable_consumption());
  } else if (entry.key == "environment") {
    ReadEnvironment(entry.value, field, spec->mutable_command());
  } else if (entry.key == "labels") {
    ReadLabels(entry.value, field, spec->mutable_labels());
  } else if (entry.key == "directory") {
    ReadDirectory(entry.value, field, spec->mutable_command());
  } else if (entry.key == "timeout") {
    duration(false, &v1::TaskSpec::mutable_timeout);
  } else if (entry.key == "expected_duration") {
    duration(false, &v1::TaskSpec::mutable_expected_duration);
  } else if (entry.key == "retry_delay") {
    duration(true, &v1::TaskSpec::mutable_retry_delay);
  } else if (entry.key == "max_retry_delay") {
    duration(true, &v1::TaskSpec::mutable_max_retry_delay);
  } else if (entry.key == "cancel_grace") {
    duration(true, &v1::TaskSpec::mutable_cancel_grace);
  } else if (entry.key == "unreachable_timeout") {
    duration(true, &v1::TaskSpec::mutable_unreachable_timeout);
  } else if (entry.key == "container") {
    ReadContainer(entry.value, field, spec->mutable_container());
  } else if (entry.key == "max_attempts") {
    ReadInteger(entry.value, field, 1, 1000, &v1::TaskSpec::set_max_attempts, spec);
  } else if (entry.key == "retry_on") {
    ReadFailures(entry.value, field, spec->mutable_retry_on());
  } else if (entry.key == "no_retry_on") {
    ReadFailures(entry.value, field, spec->mutable_no_retry_on());
  } else if (entry.key == "constraints") {
    ReadConstraints(entry.value, field, spec);
  } else if (entry.key == "spread") {
    ReadSpread(entry.value, field, spec->mutable_spread());
  } else if (entry.key == "avoid_last_failure") {
    bool avoid = false;
    ReadBool(entry.value, field, &avoid);
    spec->set_avoid_last_failure(avoid);
  } else if (entry.key == "preemptible") {
    bool preemptible = false;
    ReadBool(entry.value, field, &preemptible);
    spec->set_preemptible(preemptible);
  } else if (entry.key == "max_losses") {
    ReadInteger(entry.value, field, 1, 1000, &v1::TaskSpec::set_max_losses, spec);
  } else if (entry.key == "priority") {
    ReadInteger(entry.value, field, std::numeric_limits<int32_t>::min(),
                std::numeric_limits<int32_t>::max(), &v1::TaskSpec::set_priority, spec);
  } else {
    return false;
  }
  return true;
}

void TaskReader::ReadTitle(YamlTree::Id id, const FieldPath& path, std::string* title) const {
  ReadString(id, path, title);
  if (const std::string problem = planner::LineProblem(*title); !problem.empty()) {
    problems_->Add(tree_.mark(id), path.ToString(), problem);
  }
}

// To those that are there already, from the defaults.
void TaskReader::ReadLabels(YamlTree::Id id, const FieldPath& path,
                            google::protobuf::Map<std::string, std::string>* labels) const {
  for (const MapEntry& entry : ReadMap(tree_, id, path, problems_)) {
    const FieldPath field(&path, entry.key);
    if (const std::string problem = planner::LabelNameProblem(entry.key); !problem.empty()) {
      problems_->Add(tree_.mark(entry.key_id), field.ToString(), problem);
      continue;
    }
    std::string value;
    if (tree_.kind(entry.value) != Kind::kNull) ReadTitle(entry.value, field, &value);
    (*labels)[std::string(entry.key)] = std::move(value);
  }
  if (labels->size() > planner::kMaxLabels) {
    problems_->Add(tree_.mark(id), path.ToString(),
                   absl::StrCat("has ", labels->size(), " labels; at most ", planner::kMaxLabels,
                                " are allowed"));
  }
}

// A word, or a list of them.
void TaskReader::ReadFailures(YamlTree::Id id, const FieldPath& path,
                              google::protobuf::RepeatedPtrField<std::string>* words) const {
  words->Clear();
  const auto read = [&](YamlTree::Id word, const FieldPath& at) {
    if (!CheckText(word, at, "an exit status, a signal or another kind of failure")) return;
    planner::FailureSet set;
    if (const absl::Status status = set.Add(tree_.text(word)); !status.ok()) {
      problems_->Add(tree_.mark(word), at.ToString(),
                     absl::StrCat(Quoted(tree_.text(word)), " ", status.message()));
      return;
    }
    words->Add(std::string(tree_.text(word)));
  };
  if (tree_.kind(id) != Kind::kSequence) return read(id, path);
  const YamlTree::Ids items = tree_.Items(id);
  for (size_t i = 0; i < items.size(); ++i) read(items[i], FieldPath(&path, i));
}

// They take the place of the default ones as a whole.
void TaskReader::ReadConstraints(YamlTree::Id id, const FieldPath& path, v1::TaskSpec* spec) const {
  spec->clear_constraints();
  if (tree_.kind(id) != Kind::kSequence) {
    ReportWrongType(tree_, id, path, "a list such as [{attribute: disk, equals: ssd}]", problems_);
    return;
  }
  const YamlTree::Ids items = tree_.Items(id);
  for (size_t i = 0; i < items.size(); ++i) {
    ReadConstraint(items[i], FieldPath(&path, i), spec->add_constraints());
  }
  if (items.size() > planner::kMaxConstraints) {
    problems_->Add(tree_.mark(id), path.ToString(),
                   absl::StrCat("has ", items.size(), " constraints; at most ",
                                planner::kMaxConstraints, " are allowed"));
  }
}

void TaskReader::ReadConstraint(YamlTree::Id id, const FieldPath& path,
                                v1::Constraint* constraint) const {
  int operators = 0;
  for (const MapEntry& entry : ReadMap(tree_, id, path, problems_)) {
    const FieldPath field(&path, entry.key);
    if (entry.key == "attribute") {
      constraint->set_attribute(ReadChecked(entry.value, field, planner::AttributeProblem));
    } else if (entry.key == "equals") {
      ++operators;
      constraint->set_equals(ReadChecked(entry.value, field, planner::AttributeValueProblem));
    } else if (entry.key == "matches") {
      ++operators;
      constraint->set_matches(ReadChecked(entry.value, field, planner::PatternProblem));
    } else if (entry.key == "one_of") {
      ++operators;
      const YamlTree::Ids values =
          tree_.kind(entry.value) == Kind::kSequence ? tree_.Items(entry.value) : YamlTree::Ids();
      if (values.empty() || values.size() > planner::kMaxConstraintValues) {
        ReportWrongType(tree_, entry.value, field,
                        absl::StrCat("a list of 1 to ", planner::kMaxConstraintValues, " values"),
                        problems_);
        continue;
      }
      for (size_t i = 0; i < values.size(); ++i) {
        constraint->add_one_of(
            ReadChecked(values[i], FieldPath(&field, i), planner::AttributeValueProblem));
      }
    } else if (entry.key == "negated") {
      bool negated = false;
      ReadBool(entry.value, field, &negated);
      constraint->set_negated(negated);
    } else {
      ReportUnknownKey(tree_, entry, path, kConstraintKeys, problems_);
    }
  }
  if (tree_.kind(id) != Kind::kMap) return;
  if (constraint->attribute().empty()) {
    problems_->Add(tree_.mark(id), path.ToString(), "the constraint has no attribute");
  }
  if (operators != 1) {
    problems_->Add(tree_.mark(id), path.ToString(),
                   "needs exactly one of \"equals\", \"one_of\" and \"matches\"");
  }
}

void TaskReader::ReadSpread(YamlTree::Id id, const FieldPath& path, v1::Spread* spread) const {
  spread->Clear();
  for (const MapEntry& entry : ReadMap(tree_, id, path, problems_)) {
    const FieldPath field(&path, entry.key);
    if (entry.key == "group") {
      spread->set_group(ReadChecked(entry.value, field, planner::NameProblem));
    } else if (entry.key == "per_agent") {
      ReadInteger(entry.value, field, 1, planner::Spread::kMostPerAgent, &v1::Spread::set_per_agent,
                  spread);
    } else {
      ReportUnknownKey(tree_, entry, path, kSpreadKeys, problems_);
    }
  }
  if (tree_.kind(id) != Kind::kMap || (!spread->group().empty() && spread->per_agent() > 0)) return;
  problems_->Add(tree_.mark(id), path.ToString(),
                 "needs both, such as {group: workers, per_agent: 1}");
}

std::string TaskReader::ReadChecked(YamlTree::Id id, const FieldPath& path,
                                    std::string (*problem)(absl::string_view)) const {
  if (!CheckText(id, path, "a word")) return "";
  std::string text(tree_.text(id));
  if (const std::string what = problem(text); !what.empty()) {
    problems_->Add(tree_.mark(id), path.ToString(), absl::StrCat(Quoted(text), " ", what));
  }
  return text;
}

bool TaskReader::CheckText(YamlTree::Id id, const FieldPath& path,
                           absl::string_view expected) const {
  if (tree_.kind(id) != Kind::kScalar) {
    ReportNoText(id, path, expected);
    return false;
  }
  if (tree_.text(id).find('\0') != absl::string_view::npos) {
    problems_->Add(tree_.mark(id), path.ToString(), "contains a NUL character");
    return false;
  }
  return true;
}

void TaskReader::ReportNoText(YamlTree::Id id, const FieldPath& path,
                              absl::string_view expected) const {
  // Such as echo done: 5, which its author took for text: a mapping that begins with its key.
  const YamlTree::PairList pairs =
      tree_.kind(id) == Kind::kMap ? tree_.Pairs(id) : YamlTree::PairList();
  const bool looks_like_text = pairs.size() == 1 && tree_.mark(pairs[0].key) == tree_.mark(id);
  ReportWrongType(tree_, id, path, expected, problems_,
                  looks_like_text ? "; put text that has \": \" in it into quotes" : "");
}

void TaskReader::ReadString(YamlTree::Id id, const FieldPath& path, std::string* value) const {
  if (!CheckText(id, path, "a word")) return;
  value->assign(tree_.text(id).data(), tree_.text(id).size());
}

void TaskReader::ReadBool(YamlTree::Id id, const FieldPath& path, bool* value) const {
  if (tree_.kind(id) == Kind::kScalar && !tree_.quoted(id) && tree_.text(id) == "true") {
    *value = true;
  } else if (tree_.kind(id) == Kind::kScalar && !tree_.quoted(id) && tree_.text(id) == "false") {
    *value = false;
  } else {
    ReportWrongType(tree_, id, path, "true or false", problems_);
  }
}

void TaskReader::ReadCommand(YamlTree::Id id, const FieldPath& path, v1::Command* command) const {
  if (tree_.kind(id) == Kind::kScalar) {
    if (!CheckText(id, path, "a command")) return;
    command->set_shell(tree_.text(id).data(), tree_.text(id).size());
    if (absl::StripAsciiWhitespace(tree_.text(id)).empty()) {
      problems_->Add(tree_.mark(id), path.ToString(), "the command is empty");
    }
    return;
  }
  if (tree_.kind(id) != Kind::kSequence) {
    ReportNoText(id, path, "a command (a list of program and arguments, or a line for the shell)");
    return;
  }
  const YamlTree::Ids items = tree_.Items(id);
  if (items.empty()) {
    problems_->Add(tree_.mark(id), path.ToString(), "the command is empty");
    return;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const FieldPath item(&path, i);
    if (!CheckText(items[i], item, "an argument")) continue;
    command->add_arguments(tree_.text(items[i]).data(), tree_.text(items[i]).size());
    if (i == 0 && tree_.text(items[0]).empty()) {
      problems_->Add(tree_.mark(items[0]), item.ToString(), "the program's name is empty");
    }
  }
}

void TaskReader::ReadShell(YamlTree::Id id, const FieldPath& path,
                           std::vector<std::string>* shell) const {
  shell->clear();
  const YamlTree::Ids items = tree_.kind(id) == Kind::kSequence ? tree_.Items(id) : YamlTree::Ids();
  if (items.empty()) {
    ReportWrongType(tree_, id, path, "a list such as [bash, -euo, pipefail, -c]", problems_);
    return;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if (!CheckText(items[i], FieldPath(&path, i), "an argument")) continue;
    shell->emplace_back(tree_.text(items[i]));
  }
  if (!shell->empty() && shell->front().empty()) {
    problems_->Add(tree_.mark(items[0]), path.ToString(), "the program's name is empty");
  }
}

void TaskReader::ReadQuantities(YamlTree::Id id, const FieldPath& path,
                                google::protobuf::Map<std::string, double>& quantities) const {
  for (const MapEntry& entry : ReadMap(tree_, id, path, problems_)) {
    const FieldPath field(&path, entry.key);
    const std::string name_problem = planner::ResourceNameProblem(entry.key);
    if (!name_problem.empty()) {
      problems_->Add(tree_.mark(entry.key_id), path.ToString(),
                     absl::StrCat(Quoted(entry.key), " ", name_problem));
      continue;
    }
    if (tree_.kind(entry.value) != Kind::kScalar) {
      ReportWrongType(tree_, entry.value, field, "a quantity", problems_);
      continue;
    }
    const absl::string_view text = tree_.text(entry.value);
    const absl::StatusOr<planner::Quantity> quantity = planner::ParseQuantity(text, entry.key);
    if (!quantity.ok()) {
      problems_->Add(tree_.mark(entry.value), field.ToString(),
                     absl::StrCat(Quoted(text), " ", quantity.status().message()));
      continue;
    }
    if (entry.key == "ram") {
      if (std::string advice = RamAdvice(text, *quantity); !advice.empty()) {
        problems_->Warn(tree_.mark(entry.value), field.ToString(), std::move(advice));
      }
    }
    if (const absl::string_view meant = ResourceMeant(entry.key); !meant.empty()) {
      problems_->Warn(
          tree_.mark(entry.key_id), path.ToString(),
          absl::StrCat(Quoted(entry.key), " is read as the name of a pool; did you mean \"", meant,
                       "\"?"));
    }
    quantities[std::string(entry.key)] = quantity->units();
  }
}

void TaskReader::ReadEnvironment(YamlTree::Id id, const FieldPath& path,
                                 v1::Command* command) const {
  for (const MapEntry& entry : ReadMap(tree_, id, path, problems_)) {
    if (entry.key.empty() || entry.key.find('=') != absl::string_view::npos ||
        entry.key.find('\0') != absl::string_view::npos) {
      problems_->Add(tree_.mark(entry.key_id), path.ToString(),
                     absl::StrCat(Quoted(entry.key), " is not a valid variable name"));
      continue;
    }
    const FieldPath field(&path, entry.key);
    if (absl::StartsWith(entry.key, "KARTOGRAPH_")) {
      problems_->Add(tree_.mark(entry.key_id), field.ToString(),
                     "names starting with KARTOGRAPH_ are reserved");
      continue;
    }
    // A variable without a value is an empty one.
    std::string value;
    if (tree_.kind(entry.value) != Kind::kNull) {
      if (!CheckText(entry.value, field, "a value")) continue;
      value = std::string(tree_.text(entry.value));
    }
    if (NamesVariable(value)) {
      problems_->Warn(tree_.mark(entry.value), field.ToString(),
                      absl::StrCat(Quoted(value),
                                   " is passed on unchanged; variables are expanded in shell "
                                   "commands only"));
    } else if (NamesCommand(value)) {
      problems_->Warn(tree_.mark(entry.value), field.ToString(),
                      absl::StrCat(Quoted(value),
                                   " is passed on unchanged; nothing is run for it outside of "
                                   "shell commands"));
    } else if (NamesHome(value)) {
      problems_->Warn(tree_.mark(entry.value), field.ToString(),
                      absl::StrCat(Quoted(value),
                                   " is passed on unchanged; \"~\" is expanded in shell commands "
                                   "only"));
    }
    (*command->mutable_environment())[std::string(entry.key)] = std::move(value);
  }
}

void TaskReader::ReadDirectory(YamlTree::Id id, const FieldPath& path, v1::Command* command) const {
  if (!CheckText(id, path, "a folder")) return;
  const std::string directory(tree_.text(id));
  if (NamesVariable(directory)) {
    problems_->Warn(tree_.mark(id), path.ToString(),
                    absl::StrCat(Quoted(directory),
                                 " is taken as it is; variables are expanded in shell commands "
                                 "only"));
  } else if (NamesCommand(directory)) {
    problems_->Warn(tree_.mark(id), path.ToString(),
                    absl::StrCat(Quoted(directory),
                                 " is taken as it is; nothing is run for it outside of shell "
                                 "commands"));
  }
  if (directory.empty()) {
    command->clear_directory();  // the sandbox, where the defaults say otherwise
  } else if (directory[0] == '/') {
    command->set_directory(directory);
  } else {
    if (directory[0] == '~') {
      problems_->Warn(tree_.mark(id), path.ToString(),
                      "\"~\" is not expanded; give the full path of the home directory");
    }
    std::string folder = (std::filesystem::path(folder_) / directory).lexically_normal().string();
    if (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    command->set_directory(std::move(folder));
  }
}

// A task's container takes the place of the default one as a whole.
void TaskReader::ReadContainer(YamlTree::Id id, const FieldPath& path,
                               v1::Container* container) const {
  container->Clear();
  for (const MapEntry& entry : ReadMap(tree_, id, path, problems_)) {
    const FieldPath field(&path, entry.key);
    if (entry.key == "image") {
      if (tree_.kind(entry.value) != Kind::kNull) {
        ReadString(entry.value, field, container->mutable_image());
      }
    } else if (entry.key == "volumes") {
      if (tree_.kind(entry.value) == Kind::kNull) continue;
      if (tree_.kind(entry.value) != Kind::kSequence) {
        ReportWrongType(tree_, entry.value, field, "a list of volumes", problems_);
        continue;
      }
      const YamlTree::Ids items = tree_.Items(entry.value);
      for (size_t i = 0; i < items.size(); ++i) {
        ReadVolume(items[i], FieldPath(&field, i), container->add_volumes());
      }
    } else {
      ReportUnknownKey(tree_, entry, path, kContainerKeys, problems_);
    }
  }
}

void TaskReader::ReadVolume(YamlTree::Id id, const FieldPath& path,
                            v1::Container::Volume* volume) const {
  for (const MapEntry& entry : ReadMap(tree_, id, path, problems_)) {
    const FieldPath field(&path, entry.key);
    if (entry.key == "host_path") {
      ReadString(entry.value, field, volume->mutable_host_path());
    } else if (entry.key == "container_path") {
      ReadString(entry.value, field, volume->mutable_container_path());
    } else if (entry.key == "read_only") {
      bool read_only = false;
      ReadBool(entry.value, field, &read_only);
      volume->set_read_only(read_only);
    } else {
      ReportUnknownKey(tree_, entry, path, kVolumeKeys, problems_);
    }
  }
  if (volume->host_path().empty() || volume->container_path().empty()) {
    problems_->Add(tree_.mark(id), path.ToString(), "a volume needs host_path and container_path");
  } else if (volume->host_path()[0] != '/') {
    problems_->Add(tree_.mark(id), path.ToString(),
                   "host_path must be an absolute path on the agent's host");
  }
}

void TaskReader::ReadAfter(YamlTree::Id id, const FieldPath& path, v1::TaskSpec* spec,
                           TaskNames* names) const {
  if (tree_.kind(id) == Kind::kNull) return;
  const bool list = tree_.kind(id) == Kind::kSequence;
  const YamlTree::Ids items = list ? tree_.Items(id) : YamlTree::Ids{id};
  for (size_t i = 0; i < items.size(); ++i) {
    if (tree_.kind(items[i]) != Kind::kScalar) {
      ReportWrongType(tree_, items[i], list ? FieldPath(&path, i) : path,
                      list ? "a task's name" : "a task's name or a list of them", problems_);
      continue;
    }
    const absl::string_view name = tree_.text(items[i]);
    spec->add_after(name.data(), name.size());
    if (names != nullptr) names->AddAfter(name, items[i]);
  }
}

void TaskReader::ReadDuration(YamlTree::Id id, const FieldPath& path, bool zero_allowed,
                              google::protobuf::Duration* (v1::TaskSpec::*mutable_field)(),
                              v1::TaskSpec* spec) const {
  if (tree_.kind(id) != Kind::kScalar) {
    ReportWrongType(tree_, id, path, "a duration such as 30s or 1h30m", problems_);
    return;
  }
  const absl::StatusOr<absl::Duration> duration = ParseDuration(tree_.text(id));
  if (!duration.ok()) {
    problems_->Add(tree_.mark(id), path.ToString(),
                   absl::StrCat(Quoted(tree_.text(id)), " ", duration.status().message()));
  } else if (!zero_allowed && *duration == absl::ZeroDuration()) {
    problems_->Add(tree_.mark(id), path.ToString(), "must be longer than 0");
  } else {
    *(spec->*mutable_field)() = ToProto(*duration);
  }
}

}  // namespace kartograph::cli
