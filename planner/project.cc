#include "planner/project.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

absl::Status CheckShape(const Project& project) {
  if (project.capacities.size() > kMaxProjectResources) {
    return absl::InvalidArgumentError(absl::StrCat("a project has ", project.capacities.size(),
                                                   " resources; at most ", kMaxProjectResources,
                                                   " are possible"));
  }
  if (project.successors.size() != project.size() ||
      project.demands.size() != project.size() * project.capacities.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a project of ", project.size(), " tasks has successors of ", project.successors.size(),
        " and ", project.demands.size(), " demands for ", project.capacities.size(), " resources"));
  }
  return absl::OkStatus();
}

absl::Status CheckNumbers(const Project& project) {
  // Twice the sum must be a time too: backward schedules are mirrored.
  int64_t left = std::numeric_limits<int64_t>::max() / 4;
  for (TaskIndex task = 0; task < project.size(); ++task) {
    const int64_t duration = project.durations[task];
    if (duration < 0 || duration > left) {
      return absl::InvalidArgumentError(
          absl::StrCat("task ", task, " has the duration ", duration,
                       duration < 0 ? ", which is negative" : "; all together are too long"));
    }
    left -= duration;
    for (size_t r = 0; r < project.capacities.size(); ++r) {
      const int64_t demand = project.demand(task)[r];
      if (demand < 0 || demand > project.capacities[r]) {
        return absl::InvalidArgumentError(absl::StrCat("task ", task, " demands ", demand,
                                                       " of resource ", r, ", of which there is ",
                                                       project.capacities[r]));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<TaskIndex> TopologicalOrder(const Adjacency& successors) {
  std::vector<uint32_t> missing(successors.size(), 0);
  for (TaskIndex task = 0; task < successors.size(); ++task) {
    for (TaskIndex next : successors[task]) ++missing[next];
  }
  std::vector<TaskIndex> order;
  order.reserve(successors.size());
  for (TaskIndex task = 0; task < successors.size(); ++task) {
    if (missing[task] == 0) order.push_back(task);
  }
  for (size_t i = 0; i < order.size(); ++i) {
    for (TaskIndex next : successors[order[i]]) {
      if (--missing[next] == 0) order.push_back(next);
    }
  }
  return order;
}

absl::Status CheckProject(const Project& project) {
  if (absl::Status status = CheckShape(project); !status.ok()) return status;
  if (absl::Status status = CheckNumbers(project); !status.ok()) return status;
  for (TaskIndex task = 0; task < project.size(); ++task) {
    for (TaskIndex next : project.successors[task]) {
      if (next >= project.size()) {
        return absl::InvalidArgumentError(
            absl::StrCat("task ", task, " has the successor ", next, ", which is not there"));
      }
    }
  }
  if (TopologicalOrder(project.successors).size() != project.size()) {
    return absl::InvalidArgumentError("the tasks of a project form a cycle");
  }
  return absl::OkStatus();
}

absl::Status CheckSchedule(const Project& project, const Schedule& schedule) {
  if (schedule.starts.size() != project.size()) {
    return absl::InvalidArgumentError(absl::StrCat("a schedule has ", schedule.starts.size(),
                                                   " starts for ", project.size(), " tasks"));
  }
  // Ends before starts of the same time.
  std::vector<std::pair<int64_t, TaskIndex>> starts;
  std::vector<std::pair<int64_t, TaskIndex>> ends;
  int64_t makespan = 0;
  for (TaskIndex task = 0; task < project.size(); ++task) {
    const int64_t start = schedule.starts[task];
    const int64_t end = start + project.durations[task];
    makespan = std::max(makespan, end);
    if (start < 0)
      return absl::InvalidArgumentError(absl::StrCat("task ", task, " starts before 0"));
    for (TaskIndex next : project.successors[task]) {
      if (schedule.starts[next] < end) {
        return absl::InvalidArgumentError(
            absl::StrCat("task ", next, " starts before task ", task, " has ended"));
      }
    }
    if (project.durations[task] == 0) continue;  // holds its resources for no time
    starts.emplace_back(start, task);
    ends.emplace_back(end, task);
  }
  if (makespan != schedule.makespan) {
    return absl::InvalidArgumentError(
        absl::StrCat("a schedule ends at ", makespan, " and says ", schedule.makespan));
  }
  std::sort(starts.begin(), starts.end());
  std::sort(ends.begin(), ends.end());
  std::vector<int64_t> free = project.capacities;
  size_t ended = 0;
  for (const auto& [time, task] : starts) {
    for (; ended < ends.size() && ends[ended].first <= time; ++ended) {
      for (size_t r = 0; r < free.size(); ++r) free[r] += project.demand(ends[ended].second)[r];
    }
    for (size_t r = 0; r < free.size(); ++r) {
      free[r] -= project.demand(task)[r];
      if (free[r] < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("more of resource ", r, " is used at ", time, " than there is"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace kartograph::planner
