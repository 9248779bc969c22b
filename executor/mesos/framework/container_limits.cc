#include "executor/mesos/framework/container_limits.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "executor/wire/attempt.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::Overuse;
using planner::AttemptId;
using planner::Outcome;

namespace {

// More are forgotten with the connection.
constexpr size_t kMaxRemembered = 100000;
// Executors that have said something; of what is forgotten they say it again.
constexpr size_t kMaxOveruse = 10000;
constexpr int kMaxAttempts = 64;  // of one message

uint64_t OverOf(const Overuse::Attempt& attempt, bool memory) {
  return memory ? attempt.ram_over_bytes() : attempt.disk_over_bytes();
}

std::string Bytes(uint64_t bytes) { return FormatBytes(static_cast<double>(bytes)); }

}  // namespace

void ContainerLimits::OnOveruse(const std::string& executor, const Overuse& overuse) {
  if (overuse_.size() >= kMaxOveruse && !overuse_.contains(executor)) overuse_.clear();
  if (overuse.attempts_size() == 0) {
    overuse_.erase(executor);
  } else if (overuse.attempts_size() <= kMaxAttempts) {
    overuse_[executor] = overuse;
  }
}

ContainerLimits::Verdict ContainerLimits::Judge(const std::string& executor, bool alone,
                                                Limit limit) const {
  Verdict verdict;
  if (own_executors_.contains(executor)) {
    verdict.each = true;
    return verdict;
  }
  const bool memory = limit == Limit::kMemory;
  auto known = overuse_.find(executor);
  if (known != overuse_.end() && limit != Limit::kOther) {
    const Overuse& all = known->second;
    double sum = static_cast<double>(memory ? all.other_ram_bytes() : all.other_disk_bytes());
    const Overuse::Attempt* most = &all.attempts(0);
    for (const Overuse::Attempt& attempt : all.attempts()) {
      sum += static_cast<double>(OverOf(attempt, memory));
      if (OverOf(attempt, memory) > OverOf(*most, memory)) most = &attempt;
    }
    const uint64_t over = OverOf(*most, memory);
    if (static_cast<double>(over) > sum / 2) {
      // Or has ended already: the kernel may have killed it before Mesos killed the others.
      verdict.culprit = AttemptId{most->attempt()};
      verdict.how = absl::StrCat(" had ", Bytes(memory ? most->ram_bytes() : most->disk_bytes()),
                                 memory ? " of memory, " : " of disk, ", Bytes(over),
                                 " more than it consumes");
      return verdict;
    }
  }
  // Of the disk, what others had left in the sandbox counts as well.
  verdict.each = alone && limit != Limit::kDisk;
  return verdict;
}

void ContainerLimits::OnEnd(AttemptId attempt, const std::string& executor, bool alone,
                            StatusReport* report) {
  auto [it, is_new] = verdicts_.try_emplace(executor);
  Verdict& verdict = it->second;
  if (is_new) verdict = Judge(executor, alone, report->limit);
  const std::string why = report->update.message;
  if (verdict.each) {
    suspects_.insert(attempt.task());
    return EndOverLimit(why, report);
  }
  if (!verdict.culprit) {
    suspects_.insert(attempt.task());
    return;
  }
  if (*verdict.culprit == attempt) {
    suspects_.insert(attempt.task());
    return EndOverLimit(absl::StrCat(why, "; it", verdict.how), report);
  }
  report->update.outcome = Outcome::kDropped;
  report->update.message = wire::MessageText(
      absl::StrCat("ended with its neighbour ", planner::AttemptIdToString(*verdict.culprit),
                   ", which", verdict.how, ": ", why));
}

void ContainerLimits::Trim() {
  if (verdicts_.size() > kMaxRemembered) verdicts_.clear();
  if (suspects_.size() > kMaxRemembered) suspects_.clear();
  if (own_executors_.size() > kMaxRemembered) own_executors_.clear();
}

}  // namespace kartograph::executor::mesos
