#include "cli/graph_check.h"

#include <algorithm>
#include <deque>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/suggest.h"

namespace kartograph::cli {
namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
// Each costs a look at every name; the problems beyond go without.
constexpr int kMaxSuggestions = 20;
// Of a cycle's names, this many are said.
constexpr size_t kMaxCycleNames = 12;

// before[i]: the tasks that task i comes after.
using Edges = std::vector<std::vector<uint32_t>>;

std::string FieldOf(size_t index, absl::string_view rest) {
  return absl::StrCat("tasks[", index, "]", rest);
}

// The strongly connected components (Tarjan), as the component's number of each task. Iterative:
// a chain may be a million tasks long.
class Components {
 public:
  explicit Components(const Edges& edges)
      : component(edges.size(), kNone),
        edges_(edges),
        order_(edges.size(), kNone),
        low_(edges.size(), 0) {
    for (uint32_t task = 0; task < edges.size(); ++task) {
      if (order_[task] == kNone) Visit(task);
    }
  }

  std::vector<uint32_t> component;
  std::vector<uint32_t> size;  // index: component

 private:
  struct Frame {
    uint32_t task;
    uint32_t edge;
  };

  void Enter(uint32_t task) {
    order_[task] = low_[task] = next_order_++;
    stack_.push_back(task);
    frames_.push_back({task, 0});
  }

  void Visit(uint32_t root) {
    Enter(root);
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      const uint32_t task = frame.task;
      if (frame.edge < edges_[task].size()) {
        const uint32_t next = edges_[task][frame.edge++];
        if (order_[next] == kNone) {
          Enter(next);
        } else if (component[next] == kNone) {
          low_[task] = std::min(low_[task], order_[next]);
        }
        continue;
      }
      frames_.pop_back();
      if (!frames_.empty()) {
        uint32_t& low = low_[frames_.back().task];
        low = std::min(low, low_[task]);
      }
      if (low_[task] == order_[task]) Close(task);
    }
  }

  void Close(uint32_t root) {
    size.push_back(0);
    uint32_t task;
    do {
      task = stack_.back();
      stack_.pop_back();
      component[task] = static_cast<uint32_t>(size.size() - 1);
      ++size.back();
    } while (task != root);
  }

  const Edges& edges_;
  std::vector<uint32_t> order_;
  std::vector<uint32_t> low_;
  std::vector<uint32_t> stack_;
  std::vector<Frame> frames_;
  uint32_t next_order_ = 0;
};

// A shortest way from `start` back to itself along `edges` within its component: `start` first,
// each next one a task that the one before comes after.
std::vector<uint32_t> ShortestCycle(const Edges& edges, const std::vector<uint32_t>& component,
                                    uint32_t start) {
  absl::flat_hash_map<uint32_t, uint32_t> reached_from;
  std::deque<uint32_t> queue = {start};
  while (!queue.empty()) {
    const uint32_t task = queue.front();
    queue.pop_front();
    for (uint32_t next : edges[task]) {
      if (next == start) {
        std::vector<uint32_t> cycle = {task};
        while (cycle.back() != start) cycle.push_back(reached_from[cycle.back()]);
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
      if (component[next] != component[start] || !reached_from.insert({next, task}).second)
        continue;
      queue.push_back(next);
    }
  }
  return {};
}

std::string CycleMessage(absl::Span<const TaskNode> tasks, std::vector<uint32_t> cycle) {
  // `cycle` follows "comes after"; people read the order in which the tasks would run.
  std::reverse(cycle.begin() + 1, cycle.end());
  std::vector<absl::string_view> names;
  names.reserve(cycle.size() + 1);
  for (uint32_t task : cycle) names.push_back(tasks[task].name);
  if (names.size() == 1) {
    return absl::StrCat("the task ", Quoted(names[0]), " comes after itself, a cycle: ", names[0],
                        " -> ", names[0]);
  }
  names.push_back(names[0]);
  std::string path;
  if (names.size() <= kMaxCycleNames) {
    path = absl::StrJoin(names, " -> ");
  } else {
    const auto half = static_cast<std::ptrdiff_t>(kMaxCycleNames / 2);
    path = absl::StrCat(absl::StrJoin(names.begin(), names.begin() + half, " -> "), " -> (",
                        names.size() - kMaxCycleNames, " more) -> ",
                        absl::StrJoin(names.end() - half, names.end(), " -> "));
  }
  return absl::StrCat("these tasks come after each other in a cycle: ", path);
}

void ReportCycles(absl::Span<const TaskNode> tasks, const Edges& edges, FileProblems* problems) {
  const Components components(edges);
  std::vector<bool> reported(components.size.size(), false);
  for (uint32_t task = 0; task < edges.size(); ++task) {
    const uint32_t component = components.component[task];
    const bool knot = components.size[component] > 1 ||
                      std::find(edges[task].begin(), edges[task].end(), task) != edges[task].end();
    if (!knot || reported[component]) continue;
    reported[component] = true;
    std::vector<uint32_t> cycle = ShortestCycle(edges, components.component, task);
    const absl::string_view before = tasks[cycle.size() > 1 ? cycle[1] : task].name;
    Mark mark = tasks[task].mark;
    for (const TaskNode::After& after : tasks[task].after) {
      if (after.name == before) mark = after.mark;
    }
    problems->Add(mark, FieldOf(task, ".after"), CycleMessage(tasks, std::move(cycle)));
  }
}

}  // namespace

int64_t CheckGraph(absl::Span<const TaskNode> tasks, FileProblems* problems) {
  absl::flat_hash_map<absl::string_view, uint32_t> index;
  index.reserve(tasks.size());
  for (uint32_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i].name.empty()) continue;  // reported by the reader
    const auto [first, is_new] = index.insert({tasks[i].name, i});
    if (!is_new) {
      problems->Add(tasks[i].mark, FieldOf(i, ".name"),
                    absl::StrCat(Quoted(tasks[i].name), " names two tasks; the first is on line ",
                                 tasks[first->second].mark.line));
    }
  }

  Edges edges(tasks.size());
  int64_t count = 0;
  int suggestions = 0;
  std::vector<absl::string_view> names;
  // The last task that was after this one: finds names said twice without a set for each task.
  std::vector<uint32_t> last_user(tasks.size(), kNone);
  for (uint32_t i = 0; i < tasks.size(); ++i) {
    for (const TaskNode::After& after : tasks[i].after) {
      const auto found = index.find(after.name);
      if (found == index.end()) {
        absl::string_view nearest;
        if (suggestions++ < kMaxSuggestions) {
          if (names.empty()) {
            for (const TaskNode& task : tasks) names.push_back(task.name);
          }
          nearest = Nearest(after.name, names);
        }
        problems->Add(
            after.mark, FieldOf(i, ".after"),
            absl::StrCat("there is no task ", Quoted(after.name),
                         nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?")));
        continue;
      }
      if (last_user[found->second] == i) {
        continue;  // said twice, meant once
      }
      last_user[found->second] = i;
      edges[i].push_back(found->second);
      ++count;
    }
  }
  ReportCycles(tasks, edges, problems);
  return count;
}

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         absl::string_view("_.-/:+@=,[]").find(c) != absl::string_view::npos;
}

std::string NameProblem(absl::string_view name) {
  if (name.empty()) return "is empty; a name has 1 to 256 characters";
  if (name.size() > 256) {
    return absl::StrCat(Quoted(name), " has ", name.size(), " characters; at most 256 are allowed");
  }
  if (name[0] == '-') return absl::StrCat(Quoted(name), " starts with '-', which a name must not");
  if (!std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    return absl::StrCat(Quoted(name),
                        " has a character that a name cannot have; allowed are letters, digits and "
                        "_ . - / : + @ = , [ ]");
  }
  return "";
}

}  // namespace kartograph::cli
