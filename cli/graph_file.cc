#include "cli/graph_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/graph_check.h"
#include "cli/task_reader.h"
#include "cli/wf_format.h"
#include "cli/yaml_map.h"
#include "yaml/yaml_tree.h"

namespace kartograph::cli {
namespace {

using Kind = YamlTree::Kind;

constexpr absl::string_view kTopKeys[] = {"name", "queue", "fail_fast", "defaults", "tasks"};

void ReadTasks(const YamlTree& tree, YamlTree::Id list, const FieldPath& path, TaskReader* reader,
               GraphFile* file, FileProblems* problems) {
  if (tree.kind(list) != Kind::kSequence) {
    ReportWrongType(tree, list, path, "a list of tasks", problems);
    return;
  }
  const std::vector<YamlTree::Id> items = tree.Items(list);
  if (items.empty()) problems->Add(tree.mark(list), path.ToString(), "the graph has no tasks");
  std::vector<TaskNode> nodes(items.size());
  file->tasks.reserve(items.size());
  file->marks.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    file->tasks.push_back(reader->ReadTask(items[i], FieldPath(&path, i), &nodes[i]));
    file->marks.push_back(nodes[i].mark);
  }
  file->edges = CheckGraph(nodes, problems);
}

void ReadGraph(const YamlTree& tree, const GraphFileOptions& options, GraphFile* file,
               FileProblems* problems) {
  const FieldPath top;
  if (tree.kind(tree.root()) != Kind::kMap) {
    ReportWrongType(tree, tree.root(), top, "a graph (a mapping with tasks)", problems);
    return;
  }
  TaskReader reader(tree, options.folder, problems);
  YamlTree::Id tasks = YamlTree::kNone;
  for (const MapEntry& entry : ReadMap(tree, tree.root(), top, problems)) {
    const FieldPath field(&top, entry.key);
    const bool nothing = tree.kind(entry.value) == Kind::kNull;
    if (entry.key == "name") {
      if (nothing) continue;
      reader.ReadString(entry.value, field, file->spec.mutable_name());
      const std::string problem = NameProblem(file->spec.name());
      if (tree.kind(entry.value) == Kind::kScalar && !problem.empty()) {
        problems->Add(tree.mark(entry.value), field.ToString(), problem);
      }
    } else if (entry.key == "queue") {
      if (!nothing) reader.ReadString(entry.value, field, file->spec.mutable_client_queue());
    } else if (entry.key == "fail_fast") {
      bool fail_fast = false;
      if (!nothing) reader.ReadBool(entry.value, field, &fail_fast);
      file->spec.set_fail_fast(fail_fast);
    } else if (entry.key == "defaults") {
      if (!nothing) reader.ReadDefaults(entry.value, field);
    } else if (entry.key == "tasks") {
      tasks = entry.value;
    } else if (!absl::StartsWith(entry.key, "x-")) {  // a place for anchors
      ReportUnknownKey(entry, top, kTopKeys, problems);
    }
  }
  // After the defaults, wherever these stand.
  if (tasks == YamlTree::kNone) {
    problems->Add(tree.mark(tree.root()), "", "there is no list of tasks (key \"tasks\")");
  } else {
    ReadTasks(tree, tasks, FieldPath(&top, "tasks"), &reader, file, problems);
  }
  if (file->spec.name().empty()) file->spec.set_name(options.default_name);
}

// The file's name without folder and ending, made fit to name a graph.
std::string NameFromPath(const std::string& path) {
  std::string name = path == "-" ? "stdin" : std::filesystem::path(path).stem().string();
  for (char& c : name) {
    if (!IsNameCharacter(c)) c = '_';
  }
  if (!name.empty() && name[0] == '-') name[0] = '_';
  if (name.size() > 256) name.resize(256);
  return name.empty() ? "graph" : name;
}

std::string FolderOf(const std::string& path) {
  std::error_code error;
  const std::filesystem::path folder =
      path == "-" ? std::filesystem::current_path(error)
                  : std::filesystem::absolute(path, error).lexically_normal().parent_path();
  return error ? "/" : folder.string();
}

bool ReadAll(const std::string& path, std::string* text, FileProblems* problems) {
  std::ifstream file;
  std::istream* in = &std::cin;
  if (path != "-") {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      problems->Add({}, "", "this is a folder; a graph file is expected");
      return false;
    }
    errno = 0;
    file.open(path, std::ios::binary);
    if (!file) {
      problems->Add({}, "", absl::StrCat("cannot be opened: ", std::strerror(errno)));
      return false;
    }
    in = &file;
  }
  std::ostringstream all;
  if (in->peek() != std::istream::traits_type::eof()) all << in->rdbuf();
  if (in->bad() || all.bad()) {
    problems->Add({}, "", "cannot be read");
    return false;
  }
  *text = std::move(all).str();
  return true;
}

bool ParseOneDocument(absl::string_view text, YamlTree* tree, FileProblems* problems) {
  if (const std::optional<yaml::Problem> problem = tree->Parse(text)) {
    problems->Add(problem->mark, "", absl::StrCat("this line is not YAML: ", problem->what));
    return false;
  }
  if (tree->empty()) {
    problems->Add({}, "", "the file is empty; a graph has at least a list of tasks");
    return false;
  }
  if (tree->second_document().line > 0) {
    problems->Add(tree->second_document(), "",
                  "a second document starts here; a file holds one graph");
    return false;
  }
  return true;
}

}  // namespace

std::optional<GraphFile> ParseGraphFile(absl::string_view text, const GraphFileOptions& options,
                                        FileProblems* problems) {
  YamlTree tree;
  if (!ParseOneDocument(text, &tree, problems)) return std::nullopt;
  GraphFile file;
  if (IsWfFormat(tree)) {
    ReadWfFormat(tree, options, &file, problems);
  } else {
    ReadGraph(tree, options, &file, problems);
  }
  if (!problems->empty()) return std::nullopt;
  return file;
}

std::optional<GraphFile> LoadGraphFile(const std::string& path, double scale,
                                       FileProblems* problems) {
  std::string text;
  if (!ReadAll(path, &text, problems)) return std::nullopt;
  GraphFileOptions options;
  options.default_name = NameFromPath(path);
  options.folder = FolderOf(path);
  options.scale = scale;
  return ParseGraphFile(text, options, problems);
}

std::optional<Mark> MarkOfField(const GraphFile& file, absl::string_view field) {
  if (!absl::ConsumePrefix(&field, "tasks[")) return std::nullopt;
  size_t index;
  if (absl::SimpleAtoi(field.substr(0, field.find(']')), &index)) {
    return index < file.marks.size() ? std::optional<Mark>(file.marks[index]) : std::nullopt;
  }
  if (!absl::ConsumePrefix(&field, "\"")) return std::nullopt;
  const size_t end = field.find("\"]");
  if (end == absl::string_view::npos) return std::nullopt;
  std::string name;
  if (!absl::CUnescape(field.substr(0, end), &name)) return std::nullopt;
  for (size_t i = 0; i < file.tasks.size(); ++i) {
    if (file.tasks[i].name() == name) return file.marks[i];
  }
  return std::nullopt;
}

}  // namespace kartograph::cli
