// On which agents a task may run.
#ifndef KARTOGRAPH_PLANNER_CONSTRAINTS_H_
#define KARTOGRAPH_PLANNER_CONSTRAINTS_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kartograph::planner {

inline constexpr size_t kMaxConstraints = 16;         // of a task
inline constexpr size_t kMaxConstraintValues = 64;    // of kOneOf
inline constexpr size_t kMaxConstraintBytes = 256;    // of an attribute's name, and of a value
inline constexpr size_t kMaxGraphConstraints = 1000;  // different ones that a graph's tasks have

// What is known of every agent, beside the attributes that it reports.
inline constexpr absl::string_view kAgentName = "agent.name";
inline constexpr absl::string_view kAgentId = "agent.id";

// What an attribute of an agent must be. One that the agent does not have equals nothing and
// matches nothing. A value type.
struct Constraint {
  enum class Operator : uint8_t { kEquals, kOneOf, kMatches };

  std::string attribute;
  Operator op = Operator::kEquals;
  bool negated = false;
  // kOneOf: one or more. kEquals: one. kMatches: one, a pattern (planner/eligibility.h) of the
  // whole value.
  std::vector<std::string> values;

  // `rack equals "b3"`, `rack is not one of "b3", "b4"`; of many values the first few.
  std::string ToString() const;

  auto operator<=>(const Constraint&) const = default;
  bool operator==(const Constraint&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Constraint& c) {
    return H::combine(std::move(h), c.attribute, c.op, c.negated, c.values);
  }
};

// "equals", "one_of", "matches", as in the contract.
absl::string_view ToString(Constraint::Operator op);

// Constraints of which all must hold; in an order of its own, each once, so that those of two tasks
// are equal where they mean the same. Most tasks have none, and others share a few: a value type of
// two words, whose copies are one.
class Constraints {
 public:
  Constraints() = default;
  explicit Constraints(std::vector<Constraint> all);

  bool empty() const { return all_ == nullptr; }
  absl::Span<const Constraint> all() const {
    return empty() ? absl::Span<const Constraint>() : absl::MakeConstSpan(*all_);
  }

  bool operator==(const Constraints& other) const {
    return all_ == other.all_ || (!empty() && !other.empty() && *all_ == *other.all_);
  }
  template <typename H>
  friend H AbslHashValue(H h, const Constraints& c) {
    return c.empty() ? H::combine(std::move(h), 0) : H::combine(std::move(h), *c.all_);
  }

 private:
  std::shared_ptr<const std::vector<Constraint>> all_;  // null: none
};

// Empty where the text can be the name of an attribute, or a value that it must have. Otherwise
// what is wrong with it, to be put after it.
std::string AttributeProblem(absl::string_view name);
std::string AttributeValueProblem(absl::string_view value);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_CONSTRAINTS_H_
