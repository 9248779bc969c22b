// What of a submission can never run.
#include <optional>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "planner/problems.h"
#include "scheduler/core.h"

namespace kartograph::scheduler {

using planner::Problem;
using planner::TaskIndex;

std::optional<Problem> Core::OverLimit(const LiveGraph& graph, absl::string_view task_name,
                                       const planner::ResourceVector& consumption) const {
  const auto problem = [&](const planner::AtCap& at, absl::string_view why) {
    const auto text = [&at](planner::Quantity quantity) {
      return at.resource == planner::Resource::Ram() ? planner::FormatBytes(quantity)
                                                     : quantity.ToString();
    };
    return Problem{
        absl::StrCat("tasks[\"", task_name, "\"].consumption[\"", at.resource->name(), "\"]"),
        text(at.need), absl::StrCat(why, "; ask for at most ", text(at.most))};
  };
  if (const auto at = planner::WhyOverCap(graph.cap, {}, consumption)) {
    return problem(*at, "is more than the graph's `limits` let it hold at once");
  }
  const std::string account = AccountName(graph.user, graph.share);
  if (const auto at = planner::WhyOverCap(packer_.shares().CapOf(account), {}, consumption)) {
    return problem(
        *at, absl::StrCat("is more than ", account.empty() ? std::string("its user") : account,
                          " may hold at once (kartographd --limit)"));
  }
  return std::nullopt;
}

std::vector<Problem> Core::Infeasible(const LiveGraph& graph, absl::string_view task_name,
                                      const planner::ResourceVector& consumption) const {
  std::vector<Problem> problems;
  if (auto problem = OverLimit(graph, task_name, consumption)) {
    problems.push_back(*std::move(problem));
  }
  const auto add = [&](planner::Resource resource, std::string value, std::string why) {
    problems.push_back(
        {absl::StrCat("tasks[\"", task_name, "\"].consumption[\"", resource.name(), "\"]"),
         std::move(value), std::move(why)});
  };
  planner::ResourceVector agent_part;
  for (const auto& entry : consumption) {
    if (entry.quantity.milli() % 1000 != 0 &&
        absl::c_linear_search(options_.indexed, entry.resource)) {
      const int64_t below = entry.quantity.milli() / 1000;
      add(entry.resource, entry.quantity.ToString(),
          absl::StrCat("is not a whole number, and ", entry.resource.name(),
                       " is handed out in whole instances; ask for ",
                       below > 0 ? absl::StrCat(below, " or ") : "", below + 1));
      continue;
    }
    const planner::Quantity pool = packer_.pools().Get(entry.resource);
    if (pool.is_zero()) {
      agent_part.Set(entry.resource, entry.quantity);
    } else if (entry.quantity > pool) {
      add(entry.resource, entry.quantity.ToString(),
          absl::StrCat("is more than the pool holds; ask for at most ", pool.ToString()));
    }
  }
  // Before the first offer it is not known what agents there are: then it waits, and says so.
  if (!agents_.anybody_seen() || agent_part.empty()) return problems;
  if (agents_.EverFits(agent_part)) return problems;
  bool each_fits = true;
  for (const auto& entry : agent_part) {
    const planner::Quantity largest = agents_.largest_seen().Get(entry.resource);
    if (entry.quantity <= largest) continue;
    each_fits = false;
    const bool is_ram = entry.resource == planner::Resource::Ram();
    auto text = [&](planner::Quantity q) {
      return is_ram ? planner::FormatBytes(q) : q.ToString();
    };
    add(entry.resource, text(entry.quantity),
        largest.is_zero()
            ? std::string("no agent and no pool has this resource; see `kartograph status` for "
                          "those there are")
            : absl::StrCat("is more than any agent has; ask for at most ", text(largest)));
  }
  if (each_fits) {
    problems.push_back({absl::StrCat("tasks[\"", task_name, "\"].consumption"),
                        consumption.ToString(), "no single agent has all of this together"});
  }
  return problems;
}

absl::Status Core::Check(const PreparedGraph& graph) const {
  if (graph.size() > options_.max_graph_tasks) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the graph has ", graph.size(), " tasks; at most ", options_.max_graph_tasks,
                     " are allowed (kartographd --max-graph-tasks)"));
  }
  std::vector<Problem> problems = graph.problems;
  std::vector<size_t> problems_of;
  for (const PreparedGraph::Consumption& consumption : graph.consumptions) {
    problems_of.push_back(Infeasible(*graph.live, "", consumption.resources).size());
  }
  if (absl::c_any_of(problems_of, [](size_t count) { return count > 0; })) {
    for (TaskIndex i = 0; i < graph.size(); ++i) {
      const uint32_t consumption = graph.live->tasks[i].consumption;
      if (problems_of[consumption] == 0) continue;
      if (problems.size() >= planner::kMaxProblems) {
        problems.resize(problems.size() + problems_of[consumption]);  // these only count
        continue;
      }
      for (Problem& problem : Infeasible(*graph.live, graph.live->task_name(i),
                                         graph.consumptions[consumption].resources)) {
        problems.push_back(std::move(problem));
      }
    }
  }
  return problems.empty() ? absl::OkStatus() : planner::ProblemsToStatus(problems);
}

}  // namespace kartograph::scheduler
