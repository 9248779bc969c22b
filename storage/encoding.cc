#include "storage/encoding.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace kartograph::storage {
namespace {

constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
constexpr int64_t kNever = std::numeric_limits<int64_t>::min();

absl::Status Damaged(absl::string_view what, absl::string_view json) {
  return absl::DataLossError(
      absl::StrCat("the run history holds ", what, " that cannot be read: ", json.substr(0, 200)));
}

// "-12.5" and the like with at most three decimals, in thousandths; not through a double, which
// cannot hold them all.
bool ParseMilli(absl::string_view text, int64_t& milli) {
  const bool negative = absl::ConsumePrefix(&text, "-");
  const size_t point = text.find('.');
  const absl::string_view whole = text.substr(0, point);
  std::string digits(whole);
  absl::string_view decimals;
  if (point != absl::string_view::npos) decimals = text.substr(point + 1);
  if (whole.empty() || decimals.size() > 3) return false;
  digits.append(decimals.data(), decimals.size());
  digits.append(3 - decimals.size(), '0');
  for (char c : digits) {
    if (c < '0' || c > '9') return false;
  }
  if (!absl::SimpleAtoi(digits, &milli)) return false;
  if (negative) milli = -milli;
  return true;
}

void AppendMilli(int64_t milli, std::string& out) {
  if (milli < 0) out.push_back('-');
  const uint64_t size = milli < 0 ? -static_cast<uint64_t>(milli) : static_cast<uint64_t>(milli);
  absl::StrAppend(&out, size / 1000);
  if (const uint64_t rest = size % 1000; rest != 0) {
    std::string decimals = absl::StrCat(absl::Dec(rest, absl::kZeroPad3));
    decimals.resize(decimals.find_last_not_of('0') + 1);
    absl::StrAppend(&out, ".", decimals);
  }
}

}  // namespace

absl::Time DecodeTime(int64_t micros) {
  if (micros == kForever) return absl::InfiniteFuture();
  if (micros == kNever) return absl::InfinitePast();
  return absl::FromUnixMicros(micros);
}

absl::Duration DecodeDuration(int64_t micros) {
  if (micros == kForever) return absl::InfiniteDuration();
  if (micros == kNever) return -absl::InfiniteDuration();
  return absl::Microseconds(micros);
}

// A resource's name has no character that JSON would escape.
std::string EncodeConsumption(const planner::ResourceVector& consumption) {
  std::string json = "{";
  for (const planner::ResourceVector::Entry& entry : consumption) {
    absl::StrAppend(&json, json.size() > 1 ? ",\"" : "\"", entry.resource.name(), "\":");
    AppendMilli(entry.quantity.milli(), json);
  }
  json.push_back('}');
  return json;
}

absl::StatusOr<planner::ResourceVector> DecodeConsumption(absl::string_view json) {
  planner::ResourceVector consumption;
  planner::ResourceNames names;
  absl::string_view rest = json;
  if (!absl::ConsumePrefix(&rest, "{") || !absl::ConsumeSuffix(&rest, "}")) {
    return Damaged("a consumption", json);
  }
  while (!rest.empty()) {
    const size_t colon = rest.find("\":");
    if (colon == absl::string_view::npos || !absl::ConsumePrefix(&rest, "\"")) {
      return Damaged("a consumption", json);
    }
    const absl::string_view name = rest.substr(0, colon - 1);
    rest.remove_prefix(colon + 1);
    const size_t comma = rest.find(',');
    int64_t milli = 0;
    if (!ParseMilli(rest.substr(0, comma), milli)) return Damaged("a consumption", json);
    const absl::StatusOr<planner::Resource> resource = names.Intern(name);
    if (absl::IsResourceExhausted(resource.status())) return resource.status();
    if (!resource.ok()) return Damaged("a consumption", json);
    consumption.Set(*resource, planner::Quantity::FromMilli(milli));
    if (comma == absl::string_view::npos) break;
    rest.remove_prefix(comma + 1);
    if (rest.empty()) return Damaged("a consumption", json);
  }
  names.KeepAll();
  return consumption;
}

std::string EncodeRetryRule(const planner::RetryRule& rule) {
  return absl::StrCat(absl::StrJoin(rule.on.Words(), ","), ";",
                      absl::StrJoin(rule.not_on.Words(), ","));
}

absl::StatusOr<planner::RetryRule> DecodeRetryRule(absl::string_view text) {
  planner::RetryRule rule;
  const std::vector<absl::string_view> sets = absl::StrSplit(text, ';');
  if (sets.size() != 2) return Damaged("a retry rule", text);
  for (auto [set, words] : {std::pair(&rule.on, sets[0]), std::pair(&rule.not_on, sets[1])}) {
    for (absl::string_view word : absl::StrSplit(words, ',', absl::SkipEmpty())) {
      if (!set->Add(word).ok()) return Damaged("a retry rule", text);
    }
  }
  return rule;
}

std::string EncodeConstraints(const planner::Constraints& constraints) {
  std::string text;
  for (const planner::Constraint& constraint : constraints.all()) {
    absl::StrAppend(&text, text.empty() ? "" : ";", constraint.negated ? "!" : "",
                    planner::ToString(constraint.op), " ",
                    absl::BytesToHexString(constraint.attribute));
    for (size_t i = 0; i < constraint.values.size(); ++i) {
      absl::StrAppend(&text, i == 0 ? " " : ",", absl::BytesToHexString(constraint.values[i]));
    }
  }
  return text;
}

absl::StatusOr<planner::Constraints> DecodeConstraints(absl::string_view text) {
  using Operator = planner::Constraint::Operator;
  if (text.empty()) return planner::Constraints();
  std::vector<planner::Constraint> all;
  for (absl::string_view one : absl::StrSplit(text, ';')) {
    planner::Constraint& constraint = all.emplace_back();
    constraint.negated = absl::ConsumePrefix(&one, "!");
    const std::vector<absl::string_view> parts = absl::StrSplit(one, ' ');
    if (parts.size() != 3) return Damaged("constraints", text);
    bool known = false;
    for (Operator op : {Operator::kEquals, Operator::kOneOf, Operator::kMatches}) {
      if (planner::ToString(op) != parts[0]) continue;
      constraint.op = op;
      known = true;
    }
    const auto decode = [&known](absl::string_view hex) {
      known = known && hex.size() % 2 == 0 &&
              std::all_of(hex.begin(), hex.end(), [](char c) { return absl::ascii_isxdigit(c); });
      return known ? absl::HexStringToBytes(hex) : std::string();
    };
    constraint.attribute = decode(parts[1]);
    for (absl::string_view value : absl::StrSplit(parts[2], ',')) {
      constraint.values.push_back(decode(value));
    }
    known = known && (constraint.op == Operator::kOneOf || constraint.values.size() == 1);
    if (!known) return Damaged("constraints", text);
  }
  return planner::Constraints(std::move(all));
}

std::string EncodeSpread(const planner::Spread& spread) {
  return spread.empty() ? "" : absl::StrCat(spread.per_agent, " ", spread.group);
}

absl::StatusOr<planner::Spread> DecodeSpread(absl::string_view text) {
  planner::Spread spread;
  if (text.empty()) return spread;
  const size_t space = text.find(' ');
  if (space == absl::string_view::npos || space + 1 == text.size() ||
      !absl::SimpleAtoi(text.substr(0, space), &spread.per_agent) || spread.per_agent < 1) {
    return Damaged("a spread", text);
  }
  spread.group = std::string(text.substr(space + 1));
  return spread;
}

std::string EncodeLabels(const Labels& labels) {
  std::string json = "[";
  for (const auto& [name, value] : labels) {
    absl::StrAppend(&json, json.size() > 1 ? ",[\"" : "[\"", absl::BytesToHexString(name), "\",\"",
                    absl::BytesToHexString(value), "\"]");
  }
  json.push_back(']');
  return json;
}

void EncodeIndexes(absl::Span<const planner::TaskIndex> indexes, std::string& json) {
  json.assign("[");
  char number[16];
  for (planner::TaskIndex index : indexes) {
    if (json.size() > 1) json.push_back(',');
    json.append(number, std::to_chars(number, number + sizeof(number), index).ptr);
  }
  json.push_back(']');
}

absl::Status DecodeIndexes(absl::string_view json, std::vector<planner::TaskIndex>& indexes) {
  indexes.clear();
  if (json == "[]") return absl::OkStatus();
  const char* at = json.data();
  const char* const end = at + json.size();
  if (at == end || *at != '[') return Damaged("a list of tasks", json);
  while (at != end && *at != ']') {
    ++at;  // over '[' or ','
    planner::TaskIndex index = 0;
    const std::from_chars_result parsed = std::from_chars(at, end, index);
    if (parsed.ec != std::errc() || parsed.ptr == end ||
        (*parsed.ptr != ',' && *parsed.ptr != ']')) {
      return Damaged("a list of tasks", json);
    }
    indexes.push_back(index);
    at = parsed.ptr;
  }
  if (at + 1 != end) return Damaged("a list of tasks", json);
  return absl::OkStatus();
}

}  // namespace kartograph::storage
