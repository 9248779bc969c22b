#include "service/http/http_params.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "planner/states.h"

namespace kartograph::service {

void HttpParams::Expect(absl::string_view name) { known_.emplace_back(name); }

const std::string* HttpParams::Find(absl::string_view name) {
  Expect(name);
  const std::string* found = nullptr;
  for (const auto& [key, value] : request_.query) {
    if (key != name) continue;
    if (found != nullptr) problems_.Add(key, value, "is given more than once; give it once");
    found = &value;
  }
  return found;
}

std::string HttpParams::Text(absl::string_view name) {
  const std::string* value = Find(name);
  return value == nullptr ? "" : *value;
}

std::string HttpParams::Required(absl::string_view name) {
  std::string value = Text(name);
  if (value.empty()) problems_.Add(std::string(name), "", "is missing");
  return value;
}

int64_t HttpParams::Int64(absl::string_view name) {
  const std::string* value = Find(name);
  int64_t number = 0;
  if (value == nullptr || value->empty()) return 0;
  if (!absl::SimpleAtoi(*value, &number)) {
    problems_.Add(std::string(name), *value, "must be a whole number");
    return 0;
  }
  return number;
}

int32_t HttpParams::Count(absl::string_view name, int32_t most, absl::string_view unset) {
  const std::string* value = Find(name);
  int32_t number = 0;
  if (value == nullptr || value->empty()) return 0;
  if (!absl::SimpleAtoi(*value, &number) || number < 0 || number > most) {
    problems_.Add(std::string(name), *value,
                  absl::StrCat("must be a whole number from 1 to ", most, ", or 0 for ", unset));
    return 0;
  }
  return number;
}

bool HttpParams::Bool(absl::string_view name) {
  const std::string* value = Find(name);
  if (value == nullptr || value->empty() || *value == "false" || *value == "0") return false;
  if (*value != "true" && *value != "1") {
    problems_.Add(std::string(name), *value, "must be true or false");
  }
  return true;
}

std::vector<v1::TaskState> HttpParams::TaskStates(absl::string_view name) {
  Expect(name);
  std::vector<v1::TaskState> states;
  for (const auto& [key, value] : request_.query) {
    if (key != name || value.empty()) continue;
    std::vector<std::string> words;
    bool known = false;
    for (int i = 1; i < planner::kTaskStates; ++i) {
      words.emplace_back(planner::ToString(static_cast<planner::TaskState>(i)));
      if (value != words.back()) continue;
      states.push_back(static_cast<v1::TaskState>(i));
      known = true;
    }
    if (!known) problems_.Add(key, value, absl::StrCat("must be ", absl::StrJoin(words, ", ")));
  }
  return states;
}

v1::GraphState HttpParams::GraphState(absl::string_view name) {
  const std::string* value = Find(name);
  if (value == nullptr || value->empty()) return v1::GRAPH_STATE_UNSPECIFIED;
  v1::GraphState state = v1::GRAPH_STATE_UNSPECIFIED;
  if (*value != absl::AsciiStrToLower(*value) ||
      !v1::GraphState_Parse(absl::StrCat("GRAPH_STATE_", absl::AsciiStrToUpper(*value)), &state) ||
      state == v1::GRAPH_STATE_UNSPECIFIED) {
    problems_.Add(std::string(name), *value, "must be running, succeeded, failed or cancelled");
    return v1::GRAPH_STATE_UNSPECIFIED;
  }
  return state;
}

v1::LogStream HttpParams::LogStream(absl::string_view name) {
  const std::string* value = Find(name);
  if (value == nullptr || value->empty() || *value == "stdout") return v1::LOG_STREAM_STDOUT;
  if (*value != "stderr") problems_.Add(std::string(name), *value, "must be stdout or stderr");
  return v1::LOG_STREAM_STDERR;
}

absl::Status HttpParams::Check() {
  for (const auto& [key, value] : request_.query) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    problems_.Add(key, value,
                  known_.empty()
                      ? "is not known: there are no parameters here"
                      : absl::StrCat("is not known; there are ", absl::StrJoin(known_, ", ")));
  }
  return problems_.ToStatus();
}

}  // namespace kartograph::service
