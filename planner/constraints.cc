#include "planner/constraints.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

constexpr size_t kValuesNamed = 3;

bool HasControl(absl::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_iscntrl(c); });
}

absl::string_view InWords(Constraint::Operator op, bool negated) {
  switch (op) {
    case Constraint::Operator::kEquals:
      return negated ? " does not equal " : " equals ";
    case Constraint::Operator::kOneOf:
      return negated ? " is not one of " : " is one of ";
    case Constraint::Operator::kMatches:
      return negated ? " does not match " : " matches ";
  }
  return " ";
}

}  // namespace

std::string Constraint::ToString() const {
  std::string text = absl::StrCat(attribute, InWords(op, negated));
  for (size_t i = 0; i < values.size() && i < kValuesNamed; ++i) {
    absl::StrAppend(&text, i == 0 ? "\"" : ", \"", values[i], "\"");
  }
  if (values.size() > kValuesNamed) {
    absl::StrAppend(&text, " and ", values.size() - kValuesNamed, " more");
  }
  return text;
}

absl::string_view ToString(Constraint::Operator op) {
  switch (op) {
    case Constraint::Operator::kEquals:
      return "equals";
    case Constraint::Operator::kOneOf:
      return "one_of";
    case Constraint::Operator::kMatches:
      return "matches";
  }
  return "";
}

Constraints::Constraints(std::vector<Constraint> all) {
  if (all.empty()) return;
  for (Constraint& constraint : all) {
    std::vector<std::string>& values = constraint.values;
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  all_ = std::make_shared<const std::vector<Constraint>>(std::move(all));
}

std::string AttributeProblem(absl::string_view name) {
  if (name.empty()) {
    return "is empty: give the name of an attribute, or agent.name or agent.id";
  }
  return AttributeValueProblem(name);
}

std::string AttributeValueProblem(absl::string_view value) {
  if (value.size() > kMaxConstraintBytes) {
    return absl::StrCat("has ", value.size(), " bytes; at most ", kMaxConstraintBytes,
                        " are allowed");
  }
  return HasControl(value) ? "holds a control character; give one line of text" : "";
}

}  // namespace kartograph::planner
