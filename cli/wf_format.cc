#include "cli/wf_format.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/duration.h"
#include "cli/graph_check.h"
#include "cli/proto_time.h"
#include "cli/yaml_map.h"
#include "planner/names.h"

namespace kartograph::cli {
namespace {

using Kind = YamlTree::Kind;
using Id = YamlTree::Id;

// Ids come from many workflow systems; what our names cannot have becomes '_'.
std::string NameFrom(absl::string_view text) {
  std::string name(text);
  for (char& c : name) {
    if (!planner::IsNameCharacter(c)) c = '_';
  }
  if (!name.empty() && name[0] == '-') name[0] = '_';
  return name;
}

struct RecordedTask {
  std::string name;
  Mark mark;
  double seconds;
  struct Parent {
    uint32_t task;  // among the same tasks
    Id place;       // that says so
  };
  std::vector<Parent> parents;
};

class RecordedTasks final : public FileTasks {
 public:
  explicit RecordedTasks(std::vector<RecordedTask> tasks) : tasks_(std::move(tasks)) {}

  size_t size() const override { return tasks_.size(); }
  void Read(size_t index, v1::TaskSpec* spec) const override {
    const RecordedTask& task = tasks_[index];
    spec->Clear();
    spec->set_name(task.name);
    spec->mutable_command()->add_arguments("sleep");
    spec->mutable_command()->add_arguments(absl::StrFormat("%.3f", task.seconds));
    (*spec->mutable_consumption())["cpu"] = 1;
    // What it was scaled to; one that takes no time says nothing.
    const absl::Duration expected = absl::Seconds(task.seconds);
    if (expected >= absl::Microseconds(1)) {
      *spec->mutable_expected_duration() = ToProto(std::min(expected, kMaxDuration));
    }
    for (const RecordedTask::Parent& parent : task.parents) {
      spec->add_after(tasks_[parent.task].name);
    }
  }
  absl::string_view name(size_t index) const override { return tasks_[index].name; }
  // What a task is given here does not stand in the file, and is named all the same.
  FilePlace Find(size_t index, const std::vector<FieldStep>& steps) const override {
    FilePlace place{tasks_[index].mark, absl::StrCat("workflow.specification.tasks[", index, "]")};
    for (const FieldStep& step : steps) step.AppendTo(&place.field);
    return place;
  }

 private:
  const std::vector<RecordedTask> tasks_;
};

// Reads one instance. The format has many more keys than matter here, so unknown ones are ignored.
class Instance {
 public:
  Instance(const YamlTree& tree, FileProblems* problems) : tree_(tree), problems_(problems) {}

  void ReadRuntimes(Id tasks) {
    const FieldPath top;
    const FieldPath path(&top, "workflow.execution.tasks");
    if (tree_.kind(tasks) != Kind::kSequence) {
      return ReportWrongType(tree_, tasks, path, "a list of tasks", problems_);
    }
    size_t index = 0;
    for (Id task : tree_.Items(tasks)) {
      const FieldPath field(&path, index++);
      const MapEntries entries = ReadMap(tree_, task, field, problems_);
      const Id id = ValueOf(entries, "id");
      const Id runtime = ValueOf(entries, "runtimeInSeconds");
      double seconds;
      if (id == YamlTree::kNone || runtime == YamlTree::kNone) {
        problems_->Add(tree_.mark(task), field.ToString(),
                       "expected a task with \"id\" and \"runtimeInSeconds\"");
        continue;
      }
      if (!absl::SimpleAtod(tree_.text(runtime), &seconds) || !std::isfinite(seconds) ||
          seconds < 0) {
        ReportWrongType(tree_, runtime, field, "a number of seconds, not negative", problems_);
        seconds = 0;
      }
      runtimes_[tree_.text(id)] = seconds;
    }
  }

  void ReadTasks(Id tasks, double scale, GraphFile* file) {
    const FieldPath top;
    const FieldPath path(&top, "workflow.specification.tasks");
    if (tree_.kind(tasks) != Kind::kSequence) {
      return ReportWrongType(tree_, tasks, path, "a list of tasks", problems_);
    }
    const YamlTree::Ids items = tree_.Items(tasks);
    if (items.empty()) problems_->Add(tree_.mark(tasks), path.ToString(), "there are no tasks");
    for (size_t i = 0; i < items.size(); ++i) {
      const FieldPath field(&path, i);
      const MapEntries entries = ReadMap(tree_, items[i], field, problems_);
      const Id id = ValueOf(entries, "id");
      if (id == YamlTree::kNone || tree_.kind(id) != Kind::kScalar) {
        problems_->Add(tree_.mark(items[i]), field.ToString(), "expected a task with an \"id\"");
        continue;
      }
      const auto runtime = runtimes_.find(tree_.text(id));
      if (runtime == runtimes_.end()) {
        problems_->Add(
            tree_.mark(id), field.ToString(),
            absl::StrCat(Quoted(tree_.text(id)), " has no runtime in workflow.execution.tasks"));
      }
      const double seconds = runtime == runtimes_.end() ? 0 : runtime->second;
      tasks_.push_back({NameFrom(tree_.text(id)), tree_.mark(id), seconds * scale, {}});
      const std::string& name = tasks_.back().name;
      const std::string problem = planner::NameProblem(name);
      if (!problem.empty()) {
        problems_->Add(tree_.mark(id), field.ToString(), absl::StrCat(Quoted(name), " ", problem));
      }
      index_[tree_.text(id)] = tasks_.size() - 1;
      nodes_.push_back({id, ValueOf(entries, "parents"), ValueOf(entries, "children")});
    }
    ReadEdges();
    file->edges = Check();
    file->tasks = std::make_unique<RecordedTasks>(std::move(tasks_));
  }

 private:
  struct Nodes {
    Id id;
    Id parents;   // kNone where there are none
    Id children;  // the same
  };

  // An edge may be given by its parent, by its child or by both; it is one edge.
  void ReadEdges() {
    absl::flat_hash_set<std::pair<size_t, size_t>> edges;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      for (const char* key : {"parents", "children"}) {
        const bool parents = absl::string_view(key) == "parents";
        const Id list = parents ? nodes_[i].parents : nodes_[i].children;
        if (list == YamlTree::kNone || tree_.kind(list) != Kind::kSequence) continue;
        for (Id item : tree_.Items(list)) {
          const auto other = index_.find(tree_.text(item));
          if (other == index_.end()) {
            problems_->Add(tree_.mark(item),
                           absl::StrCat("workflow.specification.tasks[", i, "].", key),
                           absl::StrCat("unknown task ", Quoted(tree_.text(item))));
            continue;
          }
          const size_t parent = parents ? other->second : i;
          const size_t child = parents ? i : other->second;
          if (!edges.insert({parent, child}).second) continue;
          tasks_[child].parents.push_back({static_cast<uint32_t>(parent), item});
        }
      }
    }
  }

  // Gives the number of edges.
  int64_t Check() const {
    TaskNames names;
    for (size_t i = 0; i < tasks_.size(); ++i) {
      names.AddTask(tasks_[i].name, nodes_[i].id);
      for (const RecordedTask::Parent& parent : tasks_[i].parents) {
        names.AddAfter(tasks_[parent.task].name, parent.place);
      }
    }
    return CheckGraph(
        names, [&](uint32_t place) { return tree_.mark(place); }, problems_);
  }

  const YamlTree& tree_;
  FileProblems* problems_;
  absl::flat_hash_map<absl::string_view, double> runtimes_;  // by id
  absl::flat_hash_map<absl::string_view, size_t> index_;     // by id, in tasks_
  std::vector<RecordedTask> tasks_;
  std::vector<Nodes> nodes_;  // of each task
};

}  // namespace

bool IsWfFormat(const YamlTree& tree) {
  return tree.Find(tree.root(), "schemaVersion") != YamlTree::kNone &&
         tree.Find(tree.root(), "workflow") != YamlTree::kNone;
}

void ReadWfFormat(const YamlTree& tree, const GraphFileOptions& options, GraphFile* file,
                  FileProblems* problems) {
  const Id version = tree.Find(tree.root(), "schemaVersion");
  if (tree.text(version) != "1.5") {
    problems->Add(tree.mark(version), "schemaVersion",
                  absl::StrCat("this is WfFormat ", Quoted(tree.text(version)),
                               "; version \"1.5\" can be read"));
    return;
  }
  const Id name = tree.Find(tree.root(), "name");
  file->spec.set_name(name == YamlTree::kNone || tree.text(name).empty()
                          ? options.default_name
                          : NameFrom(tree.text(name).substr(0, planner::kMaxNameLength)));
  const FieldPath top;
  const FieldPath path(&top, "workflow");
  // The value of `key` in `map`, which may be kNone.
  const auto find = [&](Id map, const FieldPath& field, absl::string_view key) {
    return map == YamlTree::kNone ? map : ValueOf(ReadMap(tree, map, field, problems), key);
  };
  const Id workflow = find(tree.root(), top, "workflow");
  const MapEntries parts = ReadMap(tree, workflow, path, problems);
  const Id tasks =
      find(ValueOf(parts, "specification"), FieldPath(&path, "specification"), "tasks");
  const Id executed = find(ValueOf(parts, "execution"), FieldPath(&path, "execution"), "tasks");
  if (tasks == YamlTree::kNone) {
    problems->Add(tree.mark(workflow), "workflow.specification.tasks", "is missing");
  }
  if (executed == YamlTree::kNone) {
    problems->Add(tree.mark(workflow), "workflow.execution.tasks",
                  "is missing; it says how long each task ran");
  }
  if (tasks == YamlTree::kNone || executed == YamlTree::kNone) return;
  Instance instance(tree, problems);
  instance.ReadRuntimes(executed);
  instance.ReadTasks(tasks, options.scale.value_or(1.0), file);
}

}  // namespace kartograph::cli
