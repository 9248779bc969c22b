#include "cli/graph_check.h"

#include <algorithm>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/suggest.h"
#include "planner/task_graph.h"

namespace kartograph::cli {
namespace {

// Each costs a look at every name; further problems get none.
constexpr int kMaxSuggestions = 20;

// Tasks whose slots in the hash table are fetched ahead: of a million tasks none is in a cache.
constexpr uint32_t kPrefetched = 16;

std::string FieldOf(uint32_t index, absl::string_view rest) {
  return absl::StrCat("tasks[", index, "]", rest);
}

// Finds tasks by name; holds their indexes alone, as the names are there already.
class TaskIndexes {
 public:
  explicit TaskIndexes(const TaskNames& tasks) : indexes_(0, Hash{&tasks}, Equal{&tasks}) {
    indexes_.reserve(tasks.size());
  }
  // The first task of the same name as `task`, which is `task` itself where its name is new.
  uint32_t Insert(uint32_t task) { return *indexes_.insert(task).first; }
  void Prefetch(absl::string_view name) const { indexes_.prefetch(name); }
  std::optional<uint32_t> Find(absl::string_view name) const {
    const auto found = indexes_.find(name);
    return found == indexes_.end() ? std::nullopt : std::optional<uint32_t>(*found);
  }

 private:
  struct Hash {
    // NOLINTNEXTLINE(readability-identifier-naming): the name that containers look for
    using is_transparent = void;
    const TaskNames* tasks;
    size_t operator()(absl::string_view name) const {
      return absl::Hash<absl::string_view>()(name);
    }
    size_t operator()(uint32_t task) const { return (*this)((*tasks)[task].text); }
  };
  struct Equal {
    // NOLINTNEXTLINE(readability-identifier-naming): the name that containers look for
    using is_transparent = void;
    const TaskNames* tasks;
    bool operator()(uint32_t a, uint32_t b) const { return (*tasks)[a].text == (*tasks)[b].text; }
    bool operator()(uint32_t a, absl::string_view b) const { return (*tasks)[a].text == b; }
    bool operator()(absl::string_view a, uint32_t b) const { return a == (*tasks)[b].text; }
  };
  absl::flat_hash_set<uint32_t, Hash, Equal> indexes_;
};

class Suggestions {
 public:
  explicit Suggestions(const TaskNames& tasks) : tasks_(tasks) {}

  // "; did you mean ...", or nothing.
  std::string For(absl::string_view unknown) {
    if (given_++ >= kMaxSuggestions) return "";
    if (absl::StrContains(unknown, ' ')) return "; several tasks are a list: [a, b]";
    if (names_.empty()) {
      for (uint32_t i = 0; i < tasks_.size(); ++i) names_.push_back(tasks_[i].text);
    }
    const absl::string_view nearest = Nearest(unknown, names_);
    return nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?");
  }

 private:
  const TaskNames& tasks_;
  std::vector<absl::string_view> names_;
  int given_ = 0;
};

void ReportCycle(const TaskNames& tasks, absl::Span<const planner::TaskIndex> cycle,
                 absl::FunctionRef<Mark(uint32_t)> mark, FileProblems* problems) {
  const uint32_t task = cycle.front();
  uint32_t place = tasks[task].place;
  for (const TaskNames::Name& after : tasks.after(task)) {
    if (after.text == tasks[cycle.back()].text) place = after.place;
  }
  const std::string path =
      planner::CycleToString(cycle, [&](planner::TaskIndex i) { return tasks[i].text; });
  problems->Add(mark(place), FieldOf(task, ".after"),
                cycle.size() == 1
                    ? absl::StrCat("the task ", Quoted(tasks[task].text), " depends on itself")
                    : absl::StrCat("dependency cycle: ", path));
}

}  // namespace

void TaskNames::AddTask(absl::string_view name, uint32_t place) {
  tasks_.push_back({name, place});
  first_after_.push_back(static_cast<uint32_t>(after_.size()));
}

absl::Span<const TaskNames::Name> TaskNames::after(uint32_t task) const {
  const size_t end = task + 1 < first_after_.size() ? first_after_[task + 1] : after_.size();
  return absl::MakeConstSpan(after_).subspan(first_after_[task], end - first_after_[task]);
}

int64_t CheckGraph(const TaskNames& tasks, absl::FunctionRef<Mark(uint32_t place)> mark,
                   FileProblems* problems) {
  TaskIndexes indexes(tasks);
  for (uint32_t i = 0; i < tasks.size(); ++i) {
    if (i + kPrefetched < tasks.size()) indexes.Prefetch(tasks[i + kPrefetched].text);
    if (tasks[i].text.empty()) continue;
    const uint32_t first = indexes.Insert(i);
    if (first != i) {
      problems->Add(mark(tasks[i].place), FieldOf(i, ".name"),
                    absl::StrCat("duplicate task name ", Quoted(tasks[i].text),
                                 "; first used on line ", mark(tasks[first].place).line));
    }
  }
  Suggestions suggestions(tasks);
  planner::Adjacency predecessors;
  std::vector<planner::TaskIndex> list;
  for (uint32_t i = 0; i < tasks.size(); ++i) {
    if (i + kPrefetched < tasks.size()) {
      for (const TaskNames::Name& after : tasks.after(i + kPrefetched)) {
        indexes.Prefetch(after.text);
      }
    }
    list.clear();
    for (const TaskNames::Name& after : tasks.after(i)) {
      if (const std::optional<uint32_t> found = indexes.Find(after.text)) {
        list.push_back(*found);
      } else {
        problems->Add(
            mark(after.place), FieldOf(i, ".after"),
            absl::StrCat("unknown task ", Quoted(after.text), suggestions.For(after.text)));
      }
    }
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    predecessors.Append(list);
  }
  for (const std::vector<planner::TaskIndex>& cycle :
       planner::FindCycles(predecessors.Reversed())) {
    ReportCycle(tasks, cycle, mark, problems);
  }
  return static_cast<int64_t>(predecessors.edges());
}

}  // namespace kartograph::cli
