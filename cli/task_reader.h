// Reads what a graph file says of one task, or of all tasks by default.
#ifndef KARTOGRAPH_CLI_TASK_READER_H_
#define KARTOGRAPH_CLI_TASK_READER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "cli/file_problems.h"
#include "cli/graph_check.h"
#include "cli/yaml_map.h"

namespace kartograph::cli {

// What tasks start from.
struct TaskDefaults {
  v1::TaskSpec spec{};
  // Runs the commands that are given as text, which is its last argument; empty: the usual shell.
  std::vector<std::string> shell{};
};

// Every problem goes to `problems`; what is wrong is left out of the result, and reading goes on.
class TaskReader {
 public:
  // `tree` and `problems` outlive the reader. `folder` is absolute; relative directories start
  // there. Tasks start from `defaults`.
  TaskReader(const YamlTree& tree, std::string folder, FileProblems* problems,
             TaskDefaults defaults = {})
      : tree_(tree),
        folder_(std::move(folder)),
        problems_(problems),
        defaults_(std::move(defaults)) {}

  // Reads the `defaults` mapping; tasks read later start from it.
  void ReadDefaults(YamlTree::Id map, const FieldPath& path);
  const std::string& folder() const { return folder_; }
  const TaskDefaults& defaults() const { return defaults_; }
  // Reads one entry of `tasks` into `spec`, whatever was in it. Adds the task to `names`, unless
  // that is null; the places are nodes of the tree.
  void ReadTask(YamlTree::Id map, const FieldPath& path, v1::TaskSpec* spec,
                TaskNames* names) const;

  // For the top level of the file.
  void ReadString(YamlTree::Id id, const FieldPath& path, std::string* value) const;
  void ReadTitle(YamlTree::Id id, const FieldPath& path, std::string* title) const;
  void ReadLabels(YamlTree::Id id, const FieldPath& path,
                  google::protobuf::Map<std::string, std::string>* labels) const;
  void ReadBool(YamlTree::Id id, const FieldPath& path, bool* value) const;

  // A map of resources' names to quantities.
  void ReadQuantities(YamlTree::Id id, const FieldPath& path,
                      google::protobuf::Map<std::string, double>& quantities) const;

 private:
  // The keys that tasks and defaults share. False where `entry` is none of them.
  bool ReadShared(const MapEntry& entry, const FieldPath& path, v1::TaskSpec* spec) const;
  void CheckExecLimits(YamlTree::Id map, const FieldPath& path, const v1::TaskSpec& spec) const;
  void ReadCommand(YamlTree::Id id, const FieldPath& path, v1::Command* command) const;
  void ReadShell(YamlTree::Id id, const FieldPath& path, std::vector<std::string>* shell) const;
  void ReadEnvironment(YamlTree::Id id, const FieldPath& path, v1::Command* command) const;
  void ReadDirectory(YamlTree::Id id, const FieldPath& path, v1::Command* command) const;
  void ReadContainer(YamlTree::Id id, const FieldPath& path, v1::Container* container) const;
  void ReadVolume(YamlTree::Id id, const FieldPath& path, v1::Container::Volume* volume) const;
  void ReadFailures(YamlTree::Id id, const FieldPath& path,
                    google::protobuf::RepeatedPtrField<std::string>* words) const;
  void ReadConstraints(YamlTree::Id id, const FieldPath& path, v1::TaskSpec* spec) const;
  void ReadSpread(YamlTree::Id id, const FieldPath& path, v1::Spread* spread) const;
  void ReadConstraint(YamlTree::Id id, const FieldPath& path, v1::Constraint* constraint) const;
  // Text of which `problem` says what is wrong.
  std::string ReadChecked(YamlTree::Id id, const FieldPath& path,
                          std::string (*problem)(absl::string_view)) const;
  void ReadAfter(YamlTree::Id id, const FieldPath& path, v1::TaskSpec* spec,
                 TaskNames* names) const;
  void ReadDuration(YamlTree::Id id, const FieldPath& path, bool zero_allowed,
                    google::protobuf::Duration* (v1::TaskSpec::*mutable_field)(),
                    v1::TaskSpec* spec) const;
  template <typename Message>
  void ReadInteger(YamlTree::Id id, const FieldPath& path, int32_t least, int32_t most,
                   void (Message::*set_field)(int32_t), Message* message) const;
  // Reports that `id` is not the text that is expected there.
  void ReportNoText(YamlTree::Id id, const FieldPath& path, absl::string_view expected) const;
  // False, with a problem, where `id` is not text that a process could be given.
  bool CheckText(YamlTree::Id id, const FieldPath& path, absl::string_view expected) const;

  const YamlTree& tree_;
  const std::string folder_;
  FileProblems* problems_;
  TaskDefaults defaults_;
};

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_TASK_READER_H_
