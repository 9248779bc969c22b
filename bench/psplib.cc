// How good the planner's schedules are: every instance of a folder of PSPLIB .sm files (Kolisch and
// Sprecher 1996), on one agent that has the instance's resources.
//
//   psplib --data DIR [--schedules N] [--dispatcher] [--seed S] [--json]
//
// Prints the mean deviation of the makespan above the critical path, which is the literature's
// measure, and above the best known (DIR/best_known.csv, where there is one), how many are as short
// as the best known, and the time a schedule takes. With --schedules 0, the default, nothing is
// searched: it is the one-pass order as a dispatcher follows it, beside peers in the same run, the
// priority rule alone and the order of submission. Otherwise the schedule search, for so many
// schedules an instance (schedule_search.h says what counts), and what a dispatcher makes of its
// order that never keeps back what could start; with --dispatcher it searches for the latter.
//
// The literature's means above the critical path, to compare with, over all instances of a set.
// j120: one pass by latest finish time and the parallel scheme 43.9; at 5,000 schedules 32.54
// (Valls and others 2008), 32.18 (Debels and Vanhoucke 2007) and some 31.5 (Goncharov 2025,
// arXiv:2502.18330); at 50,000 some 30.5 (Goncharov); best known 29.1. j60: 17.5 in one pass, 11.0
// to 11.9 at 5,000, best known 10.4. A part of a set has other means; what it can be compared by is
// the distance to the best known.
//
// --json prints a line for each instance instead, with the starts by job, so that anyone can check
// it.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "planner/makespan_bounds.h"
#include "planner/one_pass_order.h"
#include "planner/project.h"
#include "planner/schedule_search.h"
#include "planner/testing/psplib_reader.h"

namespace kartograph {
namespace {

using planner::Project;
using planner::Schedule;
using planner::TaskIndex;

struct Options {
  std::string data;
  int64_t schedules = 0;
  uint64_t seed = 1;
  bool dispatcher = false;
  bool json = false;
};

struct Instance {
  std::string name;
  Project project;
  std::optional<int64_t> best_known;
  bool proven = false;  // the best known is optimal
};

struct Result {
  Schedule schedule;
  std::vector<TaskIndex> order;  // for a dispatcher
  int64_t schedules = 0;
  double microseconds = 0;
};

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// By file name, an optimum, or "lower..upper" where none is proven.
std::map<std::string, std::string> ReadBestKnown(const std::filesystem::path& path) {
  std::map<std::string, std::string> best;
  for (absl::string_view line : absl::StrSplit(ReadAll(path), '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    if (fields.size() == 2) best[fields[0]] = fields[1];
  }
  return best;
}

absl::StatusOr<std::vector<Instance>> ReadInstances(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".sm") paths.push_back(entry.path());
  }
  if (error) return absl::NotFoundError(absl::StrCat(folder, ": ", error.message()));
  if (paths.empty()) return absl::NotFoundError(absl::StrCat(folder, ": has no .sm files"));
  std::sort(paths.begin(), paths.end());
  const std::map<std::string, std::string> best =
      ReadBestKnown(std::filesystem::path(folder) / "best_known.csv");
  std::vector<Instance> instances;
  for (const std::filesystem::path& path : paths) {
    absl::StatusOr<Project> project = planner::ParsePsplib(ReadAll(path));
    if (!project.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path.string(), ": ", project.status().message()));
    }
    Instance instance{path.stem().string(), *std::move(project), std::nullopt, false};
    if (const auto it = best.find(path.filename().string()); it != best.end()) {
      const std::vector<std::string> range = absl::StrSplit(it->second, "..");
      int64_t value;
      if (absl::SimpleAtoi(range.back(), &value)) instance.best_known = value;
      instance.proven = range.size() == 1;
    }
    instances.push_back(std::move(instance));
  }
  return instances;
}

double Microseconds() {
  return std::chrono::duration<double, std::micro>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Result Solve(const Project& project, const Options& options) {
  Result result;
  const double start = Microseconds();
  if (options.schedules == 0) {
    result.order = planner::OnePassOrder(project);
    result.microseconds = Microseconds() - start;
    result.schedule = planner::Dispatch(project, result.order);
    return result;
  }
  planner::ScheduleSearch search(project, {.seed = options.seed,
                                           .planned_schedules = options.schedules,
                                           .first_order = {},
                                           .for_dispatcher = options.dispatcher});
  search.Run(options.schedules);
  result.microseconds = Microseconds() - start;
  result.schedule = search.best();
  result.order = search.DispatchOrder();
  result.schedules = search.schedules();
  return result;
}

// Means over instances.
struct Means {
  int instances = 0;
  double above_critical_path = 0;
  double above_lower_bound = 0;
  int with_best_known = 0;
  double above_best_known = 0;
  int as_best_known = 0;
  int proven = 0;
  int optimal = 0;

  void Add(const Instance& instance, int64_t makespan) {
    const planner::MakespanBounds bounds = planner::FindMakespanBounds(instance.project);
    const auto above = [makespan](int64_t reference) {
      return 100.0 * static_cast<double>(makespan - reference) /
             static_cast<double>(std::max<int64_t>(1, reference));
    };
    ++instances;
    above_critical_path += above(bounds.critical_path);
    above_lower_bound += above(bounds.Best());
    if (!instance.best_known) return;
    ++with_best_known;
    above_best_known += above(*instance.best_known);
    if (makespan <= *instance.best_known) ++as_best_known;
    if (!instance.proven) return;
    ++proven;
    if (makespan == *instance.best_known) ++optimal;
  }
  void Print(const char* name) const {
    std::printf("%28s %10.2f %% %10.2f %%", name, above_critical_path / instances,
                above_lower_bound / instances);
    if (with_best_known > 0) {
      std::printf(" %10.2f %% %6d/%d %6d/%d", above_best_known / with_best_known, as_best_known,
                  with_best_known, optimal, proven);
    }
    std::printf("\n");
  }
};

void PrintJson(const Instance& instance, const Result& result) {
  std::printf(
      "{\"instance\": \"%s\", \"makespan\": %lld, \"starts\": [%s], \"schedules\": %lld, "
      "\"microseconds\": %.0f}\n",
      instance.name.c_str(), static_cast<long long>(result.schedule.makespan),
      absl::StrJoin(result.schedule.starts, ", ").c_str(), static_cast<long long>(result.schedules),
      result.microseconds);
}

// The peers of the one-pass order.
std::vector<TaskIndex> SubmissionOrder(const Project& project) {
  return planner::TopologicalOrder(project.successors);
}

int Run(const Options& options) {
  const absl::StatusOr<std::vector<Instance>> instances = ReadInstances(options.data);
  if (!instances.ok()) {
    std::fprintf(stderr, "psplib: %s\n", std::string(instances.status().message()).c_str());
    return 1;
  }
  Means ours, ours_dispatched, rule, submitted, best_known;
  double microseconds = 0;
  int64_t schedules = 0;
  for (const Instance& instance : *instances) {
    const Result result = Solve(instance.project, options);
    if (absl::Status status = planner::CheckSchedule(instance.project, result.schedule);
        !status.ok()) {
      std::fprintf(stderr, "psplib: %s: %s\n", instance.name.c_str(),
                   std::string(status.message()).c_str());
      return 1;
    }
    microseconds += result.microseconds;
    schedules += result.schedules;
    if (options.json) {
      PrintJson(instance, result);
      continue;
    }
    const auto dispatched = [&](const std::vector<TaskIndex>& order) {
      return planner::Dispatch(instance.project, order).makespan;
    };
    ours.Add(instance, result.schedule.makespan);
    ours_dispatched.Add(instance, dispatched(result.order));
    rule.Add(instance, dispatched(planner::LatestFinishOrder(instance.project)));
    submitted.Add(instance, dispatched(SubmissionOrder(instance.project)));
    if (instance.best_known) best_known.Add(instance, *instance.best_known);
  }
  if (options.json) return 0;
  std::printf("%s: %zu instances, %lld schedules each, seed %llu\n\n", options.data.c_str(),
              instances->size(), static_cast<long long>(options.schedules),
              static_cast<unsigned long long>(options.seed));
  std::printf("%28s %12s %12s %12s %10s %10s\n", "mean deviation above", "crit. path",
              "lower bound", "best known", "as short", "optimal");
  ours.Print(options.schedules == 0 ? "one-pass order, dispatched" : "schedule search");
  if (options.schedules > 0) ours_dispatched.Print("its order, dispatched");
  rule.Print("latest finish time alone");
  submitted.Print("order of submission");
  if (best_known.instances > 0) best_known.Print("best known");
  if (options.schedules == 0) {
    std::printf("\n%.1f us an order\n", microseconds / static_cast<double>(instances->size()));
  } else {
    std::printf("\n%.1f us a schedule, %.0f schedules an instance (fewer where a bound is met)\n",
                microseconds / static_cast<double>(std::max<int64_t>(1, schedules)),
                static_cast<double>(schedules) / static_cast<double>(instances->size()));
  }
  return 0;
}

int Main(int argc, char** argv) {
  Options options;
  bool usable = true;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--json") {
      options.json = true;
      continue;
    }
    if (word == "--dispatcher") {
      options.dispatcher = true;
      continue;
    }
    if (word == "--data") {
      options.data = value;
    } else if (word == "--schedules") {
      usable &= absl::SimpleAtoi(value, &options.schedules) && options.schedules >= 0;
    } else if (word == "--seed") {
      usable &= absl::SimpleAtoi(value, &options.seed);
    } else {
      usable = false;
    }
    ++i;
  }
  if (!usable || options.data.empty()) {
    std::fprintf(stderr,
                 "usage: psplib --data DIR [--schedules N] [--dispatcher] [--seed S] [--json]\n");
    return 2;
  }
  return Run(options);
}

}  // namespace
}  // namespace kartograph

int main(int argc, char** argv) { return kartograph::Main(argc, argv); }
