// Explanations in words.
#ifndef KARTOGRAPH_SCHEDULER_EXPLANATION_TEXT_H_
#define KARTOGRAPH_SCHEDULER_EXPLANATION_TEXT_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "planner/resources.h"
#include "scheduler/explanation.h"

namespace kartograph::scheduler {

// `"decode" of g3`.
std::string NameOf(const NamedTask& task);
// `ram` in bytes, the rest as numbers.
std::string FormatQuantity(planner::Resource resource, planner::Quantity quantity);

// What continues "the task ...", as in: waits for "fetch". Empty where there is nothing to say, as
// of a task that runs. No times but those at which something is due, so that it stays the same
// while nothing happens.
std::string OneLine(absl::Span<const Reason> reasons);

// Sentences of the same kind, with all that is named: who holds what since when, what goes first
// and why, and when the task is expected to start.
std::vector<std::string> Sentences(const Explanation& explanation, absl::Time now);

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_EXPLANATION_TEXT_H_
