// A graph as its user wrote it down: in our own format, or as a WfFormat 1.5 instance.
//
// docs/graph_files.md describes the format.
#ifndef KARTOGRAPH_CLI_GRAPH_FILE_H_
#define KARTOGRAPH_CLI_GRAPH_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "cli/file_problems.h"

namespace kartograph::cli {

// A step into a structure: a key of a mapping or, where `index` is not negative, an item of a list.
struct FieldStep {
  std::string key{};
  int64_t index = -1;

  // Continues the name of a field, such as tasks[3], by this step.
  void AppendTo(std::string* field) const {
    index >= 0 ? absl::StrAppend(field, "[", index, "]") : absl::StrAppend(field, ".", key);
  }
};

struct FilePlace {
  Mark mark;
  std::string field;  // as of a FileProblem
};

// The tasks of a file that was found valid, made one at a time: as messages, a million of them
// would take ten times as much memory as the file. Safe to read from many threads.
class FileTasks {
 public:
  virtual ~FileTasks() = default;
  virtual size_t size() const = 0;
  // Makes task `index`, whatever was in `spec`.
  virtual void Read(size_t index, v1::TaskSpec* spec) const = 0;
  virtual absl::string_view name(size_t index) const = 0;
  // Where `steps` lead in task `index`. What the file does not hold, as it comes from the defaults,
  // stands where that would be which it belongs to, the task itself at last.
  virtual FilePlace Find(size_t index, const std::vector<FieldStep>& steps) const = 0;
};

struct GraphFile {
  v1::GraphSpec spec;
  std::unique_ptr<const FileTasks> tasks;
  int64_t edges = 0;
};

struct GraphFileOptions {
  // The graph's name where the file gives none.
  std::string default_name = "graph";
  // Absolute folder that relative directories start from.
  std::string folder = "/";
  // What a WfFormat task's recorded runtime is multiplied by; 1 where it is not given. Other files
  // are refused with it.
  std::optional<double> scale{};
  // Whether it must be JSON, and may not be YAML.
  bool json_only = false;
};

// Reads and checks a graph. Nothing, with at least one problem added, where it is invalid.
std::optional<GraphFile> ParseGraphFile(std::string text, const GraphFileOptions& options,
                                        FileProblems* problems);

// The same from a file, or from standard input where `path` is "-".
std::optional<GraphFile> LoadGraphFile(const std::string& path, std::optional<double> scale,
                                       FileProblems* problems);

// A path's last part without its ending, made fit to name a graph or a task.
std::string NameFromPath(const std::string& path);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_GRAPH_FILE_H_
