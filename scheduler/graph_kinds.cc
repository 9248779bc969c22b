#include "scheduler/graph_kinds.h"

#include <algorithm>
#include <optional>

namespace kartograph::scheduler {
namespace {

int64_t Micros(absl::Duration duration) {
  return absl::ToInt64Microseconds(std::min(duration, GraphKinds::kLongest));
}

}  // namespace

void GraphKinds::Add(absl::string_view name, absl::string_view consumption,
                     absl::Duration declared) {
  if (declared > absl::ZeroDuration()) {
    declared_us_.resize(kind_of_.size());
    declared_us_.push_back(absl::ToInt64Microseconds(declared));
  }
  kind_of_.push_back(FindOrAdd(name, consumption));
  if (kind_of_.back() != kNone) ++kinds_[kind_of_.back()].tasks;
}

uint16_t GraphKinds::FindOrAdd(absl::string_view name, absl::string_view consumption) {
  planner::NamePattern(name, &pattern_);
  if (!kind_of_.empty() && kind_of_.back() != kNone) {
    const planner::TaskKind& last = kinds_[kind_of_.back()].kind;
    if (last.task == pattern_ && last.consumption == consumption) return kind_of_.back();
  }
  key_.assign(pattern_);
  key_.push_back('\n');
  key_.append(consumption.data(), consumption.size());
  if (auto it = index_.find(key_); it != index_.end()) return it->second;
  if (kinds_.size() >= kMaxKinds) return kNone;
  const auto number = static_cast<uint16_t>(kinds_.size());
  index_.emplace(key_, number);
  kinds_.emplace_back().kind = {graph_, pattern_, std::string(consumption)};
  return number;
}

void GraphKinds::Estimate(const UsageTable* usage) {
  for (; estimated_ < kinds_.size(); ++estimated_) {
    if (usage == nullptr) continue;
    Kind& kind = kinds_[estimated_];
    const std::optional<absl::Duration> known = usage->WallTime(kind.kind);
    if (known.has_value()) kind.expected_us = std::max<int64_t>(1, Micros(*known));
  }
}

int64_t GraphKinds::ExpectedUs(planner::TaskIndex task) const {
  if (task < declared_us_.size() && declared_us_[task] > 0) {
    return std::min(declared_us_[task], Micros(kLongest));
  }
  return kind_of_[task] == kNone ? 0 : kinds_[kind_of_[task]].expected_us;
}

}  // namespace kartograph::scheduler
