#include "service/convert_constraints.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "planner/eligibility.h"
#include "planner/names.h"

namespace kartograph::service {
namespace {

using planner::Constraint;

void CheckValue(const std::string& value, std::string field, ProblemList& problems) {
  if (std::string problem = planner::AttributeValueProblem(value); !problem.empty()) {
    problems.Add(std::move(field), value, std::move(problem));
  }
}

Constraint Convert(const v1::Constraint& message, const std::string& field, ProblemList& problems) {
  Constraint constraint;
  constraint.attribute = message.attribute();
  constraint.negated = message.negated();
  if (std::string problem = planner::AttributeProblem(message.attribute()); !problem.empty()) {
    problems.Add(absl::StrCat(field, ".attribute"), message.attribute(), std::move(problem));
  }
  const bool one_of = message.one_of_size() > 0;
  if (message.has_equals() + message.has_matches() + one_of != 1) {
    problems.Add(field, message.attribute(), "must have exactly one of equals, one_of and matches");
  } else if (message.has_equals()) {
    constraint.op = Constraint::Operator::kEquals;
    constraint.values = {message.equals()};
    CheckValue(message.equals(), absl::StrCat(field, ".equals"), problems);
  } else if (one_of) {
    constraint.op = Constraint::Operator::kOneOf;
    constraint.values.assign(message.one_of().begin(), message.one_of().end());
    if (constraint.values.size() > planner::kMaxConstraintValues) {
      problems.Add(absl::StrCat(field, ".one_of"),
                   absl::StrCat(constraint.values.size(), " values"),
                   absl::StrCat("must be at most ", planner::kMaxConstraintValues,
                                "; a pattern (matches) may do"));
    }
    for (int i = 0; i < message.one_of_size(); ++i) {
      CheckValue(message.one_of(i), absl::StrCat(field, ".one_of[", i, "]"), problems);
    }
  } else {
    constraint.op = Constraint::Operator::kMatches;
    constraint.values = {message.matches()};
    if (std::string problem = planner::PatternProblem(message.matches()); !problem.empty()) {
      problems.Add(absl::StrCat(field, ".matches"), message.matches(), std::move(problem));
    }
  }
  return constraint;
}

}  // namespace

planner::Constraints ConvertConstraints(const v1::TaskSpec& spec, absl::string_view task,
                                        ProblemList& problems) {
  if (spec.constraints().empty()) return {};
  const std::string field = absl::StrCat(task, ".constraints");
  if (static_cast<size_t>(spec.constraints_size()) > planner::kMaxConstraints) {
    problems.Add(field, absl::StrCat(spec.constraints_size(), " constraints"),
                 absl::StrCat("must be at most ", planner::kMaxConstraints));
    return {};
  }
  std::vector<Constraint> constraints;
  for (int i = 0; i < spec.constraints_size(); ++i) {
    constraints.push_back(Convert(spec.constraints(i), absl::StrCat(field, "[", i, "]"), problems));
  }
  return planner::Constraints(std::move(constraints));
}

planner::Spread ConvertSpread(const v1::TaskSpec& spec, absl::string_view task,
                              ProblemList& problems) {
  if (!spec.has_spread()) return {};
  const v1::Spread& spread = spec.spread();
  if (std::string problem = planner::NameProblem(spread.group()); !problem.empty()) {
    problems.Add(absl::StrCat(task, ".spread.group"), spread.group(), std::move(problem));
  }
  if (spread.per_agent() < 1 || spread.per_agent() > planner::Spread::kMostPerAgent) {
    problems.Add(absl::StrCat(task, ".spread.per_agent"), absl::StrCat(spread.per_agent()),
                 absl::StrCat("must be 1 to ", planner::Spread::kMostPerAgent));
  }
  return {spread.group(), spread.per_agent()};
}

void SetConstraints(const planner::Constraints& constraints, v1::TaskSpec& spec) {
  for (const Constraint& constraint : constraints.all()) {
    v1::Constraint& message = *spec.add_constraints();
    message.set_attribute(constraint.attribute);
    message.set_negated(constraint.negated);
    switch (constraint.op) {
      case Constraint::Operator::kEquals:
        message.set_equals(constraint.values.front());
        break;
      case Constraint::Operator::kOneOf:
        message.mutable_one_of()->Assign(constraint.values.begin(), constraint.values.end());
        break;
      case Constraint::Operator::kMatches:
        message.set_matches(constraint.values.front());
        break;
    }
  }
}

void SetSpread(const planner::Spread& spread, v1::TaskSpec& spec) {
  if (spread.empty()) return;
  spec.mutable_spread()->set_group(spread.group);
  spec.mutable_spread()->set_per_agent(spread.per_agent);
}

}  // namespace kartograph::service
