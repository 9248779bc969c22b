#include "cli/graph_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/descriptor.h"
#include "cli/graph_check.h"
#include "cli/task_reader.h"
#include "cli/wf_format.h"
#include "cli/yaml_map.h"
#include "planner/names.h"
#include "yaml/yaml_tree.h"

namespace kartograph::cli {
namespace {

using Kind = YamlTree::Kind;

constexpr absl::string_view kTopKeys[] = {"name",   "title",     "labels",   "queue", "share",
                                          "limits", "fail_fast", "defaults", "tasks"};

// Reads each task from the file's tree when it is asked for.
class YamlTasks final : public FileTasks {
 public:
  // `tasks` are the entries of the file's list, `places` where their names stand.
  YamlTasks(std::unique_ptr<const YamlTree> tree, const TaskReader& reader, YamlTree::Ids tasks,
            std::vector<YamlTree::Id> places)
      : tree_(std::move(tree)),
        reader_(*tree_, reader.folder(), &no_problems_, reader.defaults()),
        tasks_(std::move(tasks)),
        places_(std::move(places)) {}

  size_t size() const override { return tasks_.size(); }
  void Read(size_t index, v1::TaskSpec* spec) const override {
    reader_.ReadTask(tasks_[index], FieldPath(), spec, nullptr);
  }
  absl::string_view name(size_t index) const override { return tree_->text(places_[index]); }
  FilePlace Find(size_t index, const std::vector<FieldStep>& steps) const override;

 private:
  const std::unique_ptr<const YamlTree> tree_;
  FileProblems no_problems_;  // all were found when the tasks were checked
  const TaskReader reader_;
  const YamlTree::Ids tasks_;
  const std::vector<YamlTree::Id> places_;
};

FilePlace YamlTasks::Find(size_t index, const std::vector<FieldStep>& steps) const {
  FilePlace place{tree_->mark(places_[index]), absl::StrCat("tasks[", index, "]")};
  FileProblems ignored;  // all were found when the tasks were checked
  YamlTree::Id node = tasks_[index];
  for (const FieldStep& step : steps) {
    if (step.index >= 0) {
      const bool list = node != YamlTree::kNone && tree_->kind(node) == Kind::kSequence;
      const YamlTree::Ids items = list ? tree_->Items(node) : YamlTree::Ids();
      if (std::cmp_greater_equal(step.index, items.size())) break;
      node = items[static_cast<size_t>(step.index)];
    } else if (node != YamlTree::kNone) {
      node = ValueOf(ReadMap(*tree_, node, FieldPath(), &ignored), step.key);
    }
    step.AppendTo(&place.field);
    if (node != YamlTree::kNone) place.mark = tree_->mark(node);
  }
  return place;
}

// Checks the tasks in `list`; gives them where there are some.
std::unique_ptr<const FileTasks> CheckTasks(std::unique_ptr<const YamlTree> tree, YamlTree::Id list,
                                            const FieldPath& path, const TaskReader& reader,
                                            int64_t* edges, FileProblems* problems) {
  if (tree->kind(list) != Kind::kSequence) {
    ReportWrongType(*tree, list, path, "a list of tasks", problems,
                    tree->kind(list) == Kind::kMap
                        ? "; write each as an item of a list, with its name in it: - name: a"
                        : "");
    return nullptr;
  }
  YamlTree::Ids items = tree->Items(list);
  if (items.empty()) problems->Add(tree->mark(list), path.ToString(), "the graph has no tasks");
  std::vector<YamlTree::Id> places;
  places.reserve(items.size());
  {
    TaskNames names;
    v1::TaskSpec scratch;
    for (size_t i = 0; i < items.size(); ++i) {
      reader.ReadTask(items[i], FieldPath(&path, i), &scratch, &names);
      places.push_back(names[static_cast<uint32_t>(i)].place);
    }
    *edges = CheckGraph(
        names, [&](uint32_t place) { return tree->mark(place); }, problems);
  }
  return std::make_unique<YamlTasks>(std::move(tree), reader, std::move(items), std::move(places));
}

void ReadGraph(std::unique_ptr<const YamlTree> owned, const GraphFileOptions& options,
               GraphFile* file, FileProblems* problems) {
  const YamlTree& tree = *owned;
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
      const std::string problem = planner::GraphNameProblem(file->spec.name());
      if (tree.kind(entry.value) == Kind::kScalar && !problem.empty()) {
        problems->Add(tree.mark(entry.value), field.ToString(),
                      absl::StrCat(Quoted(file->spec.name()), " ", problem));
      }
    } else if (entry.key == "title") {
      if (!nothing) reader.ReadTitle(entry.value, field, file->spec.mutable_title());
    } else if (entry.key == "labels") {
      if (!nothing) reader.ReadLabels(entry.value, field, file->spec.mutable_labels());
    } else if (entry.key == "queue") {
      if (nothing) continue;
      reader.ReadString(entry.value, field, file->spec.mutable_client_queue());
      const std::string problem = planner::NameProblem(file->spec.client_queue());
      if (tree.kind(entry.value) == Kind::kScalar && !problem.empty()) {
        problems->Add(tree.mark(entry.value), field.ToString(),
                      absl::StrCat(Quoted(file->spec.client_queue()), " ", problem));
      }
    } else if (entry.key == "share") {
      if (nothing) continue;
      reader.ReadString(entry.value, field, file->spec.mutable_share());
      const std::string problem = planner::ShareNameProblem(file->spec.share());
      if (tree.kind(entry.value) == Kind::kScalar && !problem.empty()) {
        problems->Add(tree.mark(entry.value), field.ToString(),
                      absl::StrCat(Quoted(file->spec.share()), " ", problem));
      }
    } else if (entry.key == "limits") {
      if (!nothing) reader.ReadQuantities(entry.value, field, *file->spec.mutable_limits());
    } else if (entry.key == "fail_fast") {
      bool fail_fast = false;
      if (!nothing) reader.ReadBool(entry.value, field, &fail_fast);
      file->spec.set_fail_fast(fail_fast);
    } else if (entry.key == "defaults") {
      if (!nothing) reader.ReadDefaults(entry.value, field);
    } else if (entry.key == "tasks") {
      tasks = entry.value;
    } else if (!absl::StartsWith(entry.key, "x-")) {  // a place for anchors
      ReportUnknownKey(tree, entry, top, kTopKeys, problems);
    }
  }
  if (file->spec.name().empty()) file->spec.set_name(options.default_name);
  // After the defaults, wherever these stand.
  if (tasks == YamlTree::kNone) {
    problems->Add(tree.mark(tree.root()), "", "the list of tasks is missing (key \"tasks\")");
    return;
  }
  file->tasks =
      CheckTasks(std::move(owned), tasks, FieldPath(&top, "tasks"), reader, &file->edges, problems);
}

std::string FolderOf(const std::string& path) {
  std::error_code error;
  const std::filesystem::path folder =
      path == "-" ? std::filesystem::current_path(error)
                  : std::filesystem::absolute(path, error).lexically_normal().parent_path();
  return error ? "/" : folder.string();
}

bool ReadAll(const std::string& path, std::string* text, FileProblems* problems) {
  const auto fail = [&](absl::string_view what, int error) {
    problems->Add({}, "", absl::StrCat(what, ": ", std::strerror(error)));
    return false;
  };
  Descriptor file;
  if (path != "-") {
    file.Reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.ok()) return fail("cannot be opened", errno);
  }
  const int fd = path == "-" ? STDIN_FILENO : file.get();
  struct stat about;
  if (fstat(fd, &about) == 0 && S_ISDIR(about.st_mode)) {
    problems->Add({}, "", "is a directory; expected a graph file");
    return false;
  }
  constexpr size_t kChunk = 1 << 20;
  size_t size = 0;
  while (size <= YamlTree::kMaxBytes) {
    text->resize(size + kChunk);
    const ssize_t bytes = read(fd, text->data() + size, kChunk);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return fail("cannot be read", errno);
    if (bytes == 0) break;
    size += static_cast<size_t>(bytes);
  }
  text->resize(size);
  return true;
}

bool ParseOneDocument(std::string text, bool json_only, YamlTree* tree, FileProblems* problems) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  const bool looks_like_json =
      start != std::string::npos && (text[start] == '{' || text[start] == '[');
  if (const std::optional<yaml::Problem> problem = tree->Parse(std::move(text), json_only)) {
    problems->Add(
        problem->mark, "",
        absl::StrCat(
            "invalid ", problem->language, ": ", problem->what,
            json_only && !looks_like_json ? "; a file named .json is read as JSON alone" : ""));
    return false;
  }
  if (tree->empty()) {
    problems->Add({}, "", "the file is empty; a graph needs at least a list of tasks");
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

std::optional<GraphFile> ParseGraphFile(std::string text, const GraphFileOptions& options,
                                        FileProblems* problems) {
  auto tree = std::make_unique<YamlTree>();
  if (!ParseOneDocument(std::move(text), options.json_only, tree.get(), problems))
    return std::nullopt;
  GraphFile file;
  if (IsWfFormat(*tree)) {
    ReadWfFormat(*tree, options, &file, problems);
  } else if (options.scale.has_value()) {
    problems->Add({}, "",
                  "is not WfFormat, so there are no recorded runtimes that --scale could change; "
                  "leave it out");
  } else {
    ReadGraph(std::move(tree), options, &file, problems);
  }
  if (!problems->empty()) return std::nullopt;
  return file;
}

std::optional<GraphFile> LoadGraphFile(const std::string& path, std::optional<double> scale,
                                       FileProblems* problems) {
  std::string text;
  if (!ReadAll(path, &text, problems)) return std::nullopt;
  GraphFileOptions options;
  options.default_name = NameFromPath(path);
  options.folder = FolderOf(path);
  options.scale = scale;
  options.json_only = absl::EndsWithIgnoreCase(path, ".json");
  return ParseGraphFile(std::move(text), options, problems);
}

std::string NameFromPath(const std::string& path) {
  std::string name = path == "-" ? "stdin" : std::filesystem::path(path).stem().string();
  for (char& c : name) {
    if (!planner::IsNameCharacter(c)) c = '_';
  }
  if (!name.empty() && name[0] == '-') name[0] = '_';
  if (name.size() > planner::kMaxNameLength) name.resize(planner::kMaxNameLength);
  if (name.empty()) return "graph";
  // Such as that of g17.yaml, which looks like an id.
  return planner::GraphNameProblem(name).empty() ? name : absl::StrCat("graph-", name);
}

}  // namespace kartograph::cli
