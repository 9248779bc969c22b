// What the texts of most settings are read by. Errors say what would be valid.
#ifndef KARTOGRAPH_SERVICE_CONFIG_SETTING_TEXT_H_
#define KARTOGRAPH_SERVICE_CONFIG_SETTING_TEXT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace kartograph::service {

inline absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

inline absl::Status SetText(absl::string_view text, std::string& value) {
  if (text.empty()) return Wrong("must not be empty");
  value = std::string(text);
  return absl::OkStatus();
}

inline absl::Status SetSwitch(absl::string_view text, bool& value) {
  value = text == "true";
  if (value || text == "false") return absl::OkStatus();
  // As in graph files, other words of YAML 1.1 are none: "no" may be a name.
  for (absl::string_view yes : {"yes", "on"}) {
    if (absl::EqualsIgnoreCase(text, yes)) return Wrong("must be true or false; use true");
  }
  for (absl::string_view no : {"no", "off"}) {
    if (absl::EqualsIgnoreCase(text, no)) return Wrong("must be true or false; use false");
  }
  return Wrong("must be true or false");
}

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONFIG_SETTING_TEXT_H_
