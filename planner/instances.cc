#include "planner/instances.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace kartograph::planner {
namespace {

bool IsInstanceName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxInstanceNameLength &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::StrContains("._:/-", c);
         });
}

// As 0-3, which elsewhere stands for all of them.
bool LooksLikeRange(absl::string_view name) {
  const size_t dash = name.find('-');
  const auto is_number = [](absl::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == absl::string_view::npos;
  };
  return dash != absl::string_view::npos && is_number(name.substr(0, dash)) &&
         is_number(name.substr(dash + 1));
}

}  // namespace

absl::Status CheckInstances(const std::vector<std::string>& names) {
  if (names.size() > kMaxInstances) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", names.size(), " instances; at most ", kMaxInstances, " are allowed"));
  }
  absl::flat_hash_set<absl::string_view> seen;
  for (const std::string& name : names) {
    if (!IsInstanceName(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", absl::string_view(name).substr(0, 80),
                       "\" cannot be the name of an instance; use 1 to ", kMaxInstanceNameLength,
                       " letters, digits or . _ : / -, as in [0,1]"));
    }
    if (LooksLikeRange(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", name, "\" looks like a range; name each instance, as in [0,1,2,3]"));
    }
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("names the instance ", name, " twice; name each once"));
    }
  }
  if (names.empty()) {
    return absl::InvalidArgumentError("has no instances; name them, as in [0,1]");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ParseInstances(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (!absl::ConsumePrefix(&text, "[") || !absl::ConsumeSuffix(&text, "]")) {
    return absl::InvalidArgumentError("must be a list of instances, such as [0,1]");
  }
  std::vector<std::string> names;
  if (!absl::StripAsciiWhitespace(text).empty()) {
    for (absl::string_view name : absl::StrSplit(text, ',')) {
      names.emplace_back(absl::StripAsciiWhitespace(name));
    }
  }
  if (absl::Status status = CheckInstances(names); !status.ok()) return status;
  return names;
}

std::vector<std::string> NumberedInstances() {
  std::vector<std::string> names;
  for (size_t i = 0; i < kMaxInstances; ++i) names.push_back(absl::StrCat(i));
  return names;
}

}  // namespace kartograph::planner
