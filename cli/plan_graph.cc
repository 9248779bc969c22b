#include "cli/plan_graph.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/proto_time.h"
#include "planner/task_kind.h"

namespace kartograph::cli {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;

std::string Key(absl::string_view pattern, const ResourceVector& consumption) {
  return absl::StrCat(pattern, "\n", planner::ConsumptionText(consumption));
}

absl::StatusOr<ResourceVector> Consumption(
    const google::protobuf::Map<std::string, double>& quantities) {
  ResourceVector consumption;
  for (const auto& [name, units] : quantities) {
    const absl::StatusOr<Quantity> quantity = Quantity::FromUnits(units);
    if (!quantity.ok()) return quantity.status();
    const absl::StatusOr<Resource> resource = Resource::Intern(name);
    if (!resource.ok()) return resource.status();
    consumption.Set(*resource, *quantity);
  }
  return consumption;
}

}  // namespace

void LearntDurations::Add(const v1::KindUsage& kind) {
  const absl::StatusOr<ResourceVector> consumption = Consumption(kind.consumption());
  if (!consumption.ok()) return;
  const absl::Duration median = FromProto(kind.wall_time_median());
  exact_[Key(kind.task(), *consumption)] = median;
  const absl::Time last_run = FromProto(kind.last_run());
  Kind& latest = latest_.try_emplace(kind.task(), Kind{last_run, median}).first->second;
  if (last_run > latest.last_run) latest = {last_run, median};
}

std::optional<absl::Duration> LearntDurations::Of(absl::string_view task_name,
                                                  const ResourceVector& consumption) const {
  if (empty()) return std::nullopt;
  const std::string pattern = planner::NamePattern(task_name);
  if (auto it = exact_.find(Key(pattern, consumption)); it != exact_.end()) return it->second;
  if (auto it = latest_.find(pattern); it != latest_.end()) return it->second.median;
  return std::nullopt;
}

absl::StatusOr<PlanGraph> MakePlanGraph(const GraphFile& file, const LearntDurations& learnt) {
  PlanGraph plan;
  plan.graph.name = file.spec.name();
  plan.graph.tasks.reserve(file.tasks->size());
  absl::Duration sum;
  v1::TaskSpec spec;
  for (size_t i = 0; i < file.tasks->size(); ++i) {
    file.tasks->Read(i, &spec);
    forecast::Task& task = plan.graph.tasks.emplace_back();
    task.name = spec.name().empty() ? absl::StrCat("task[", i, "]") : spec.name();
    spec.mutable_consumption()->insert({"cpu", 1});  // where it is not named
    absl::StatusOr<ResourceVector> consumption = Consumption(spec.consumption());
    if (!consumption.ok()) return consumption.status();
    task.consumption = *std::move(consumption);
    task.after.assign(spec.after().begin(), spec.after().end());
    task.priority = spec.priority();
    const std::optional<absl::Duration> known = learnt.Of(task.name, task.consumption);
    if (spec.has_expected_duration()) {
      task.expected = FromProto(spec.expected_duration());
    } else if (known.has_value()) {
      task.expected = *known;
    }
    task.takes = known.value_or(task.expected);
    if (known.has_value()) ++plan.learnt;
    if (task.takes == absl::ZeroDuration()) ++plan.unknown;
    sum += task.takes;
  }
  const auto size = static_cast<int64_t>(plan.graph.tasks.size());
  plan.assumed = plan.unknown == size ? kAssumedDuration : sum / (size - plan.unknown);
  for (forecast::Task& task : plan.graph.tasks) {
    if (task.takes == absl::ZeroDuration()) task.takes = plan.assumed;
  }
  return plan;
}

}  // namespace kartograph::cli
