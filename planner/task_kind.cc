#include "planner/task_kind.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kartograph::planner {

void NamePattern(absl::string_view name, std::string* pattern) {
  pattern->clear();
  bool in_digits = false;
  for (char c : name) {
    const bool digit = absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '#';
    if (!digit) {
      pattern->push_back(c);
    } else if (!in_digits) {
      pattern->push_back('#');
    }
    in_digits = digit;
  }
}

std::string NamePattern(absl::string_view name) {
  std::string pattern;
  NamePattern(name, &pattern);
  return pattern;
}

std::string ConsumptionText(const ResourceVector& consumption) {
  std::vector<ResourceVector::Entry> entries(consumption.begin(), consumption.end());
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.resource.name() < b.resource.name(); });
  std::string text;
  for (const ResourceVector::Entry& entry : entries) {
    absl::StrAppend(&text, text.empty() ? "" : " ", entry.resource.name(), "=",
                    entry.quantity.ToString());
  }
  return text;
}

std::vector<std::pair<absl::string_view, Quantity>> ParseConsumptionText(absl::string_view text) {
  std::vector<std::pair<absl::string_view, Quantity>> parsed;
  for (absl::string_view part : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> entry =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    const absl::StatusOr<Quantity> quantity = ParseQuantity(entry.second);
    if (quantity.ok()) parsed.emplace_back(entry.first, *quantity);
  }
  return parsed;
}

Quantity QuantityIn(absl::string_view consumption_text, absl::string_view resource) {
  for (const auto& [name, quantity] : ParseConsumptionText(consumption_text)) {
    if (name == resource) return quantity;
  }
  return Quantity();
}

}  // namespace kartograph::planner
