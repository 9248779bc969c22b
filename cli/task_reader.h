// Reads what a graph file says of one task, or of all tasks by default.
#ifndef KARTOGRAPH_CLI_TASK_READER_H_
#define KARTOGRAPH_CLI_TASK_READER_H_

#include <string>

#include "absl/strings/string_view.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "cli/file_problems.h"
#include "cli/graph_check.h"
#include "cli/yaml_map.h"

namespace kartograph::cli {

// Every problem goes to `problems`; what is wrong is left out of the result, and reading goes on.
class TaskReader {
 public:
  // All outlive the reader. `folder` is absolute; relative directories start there.
  TaskReader(const YamlTree& tree, const std::string& folder, FileProblems* problems)
      : tree_(tree), folder_(folder), problems_(problems) {}

  // Reads the `defaults` mapping; tasks read later start from it.
  void ReadDefaults(YamlTree::Id map, const FieldPath& path);
  // Reads one entry of `tasks`. `node` gets what the check of the graph needs; its names live in
  // the tree.
  v1::TaskSpec ReadTask(YamlTree::Id map, const FieldPath& path, TaskNode* node);

  // For the top level of the file.
  void ReadString(YamlTree::Id id, const FieldPath& path, std::string* value);
  void ReadBool(YamlTree::Id id, const FieldPath& path, bool* value);

 private:
  // The keys that tasks and defaults share. False where `entry` is none of them.
  bool ReadShared(const MapEntry& entry, const FieldPath& path, v1::TaskSpec* spec);
  void ReadCommand(YamlTree::Id id, const FieldPath& path, v1::Command* command);
  void ReadConsumption(YamlTree::Id id, const FieldPath& path, v1::TaskSpec* spec);
  void ReadEnvironment(YamlTree::Id id, const FieldPath& path, v1::Command* command);
  void ReadDirectory(YamlTree::Id id, const FieldPath& path, v1::Command* command);
  void ReadContainer(YamlTree::Id id, const FieldPath& path, v1::Container* container);
  void ReadVolume(YamlTree::Id id, const FieldPath& path, v1::Container::Volume* volume);
  void ReadAfter(YamlTree::Id id, const FieldPath& path, v1::TaskSpec* spec, TaskNode* node);
  void ReadDuration(YamlTree::Id id, const FieldPath& path, bool zero_allowed,
                    google::protobuf::Duration* (v1::TaskSpec::*mutable_field)(),
                    v1::TaskSpec* spec);
  void ReadInteger(YamlTree::Id id, const FieldPath& path, int32_t least, int32_t most,
                   void (v1::TaskSpec::*set_field)(int32_t), v1::TaskSpec* spec);
  // False, with a problem, where `id` is not text that a process could be given.
  bool CheckText(YamlTree::Id id, const FieldPath& path, absl::string_view expected);

  const YamlTree& tree_;
  const std::string& folder_;
  FileProblems* problems_;
  v1::TaskSpec defaults_;
};

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_TASK_READER_H_
