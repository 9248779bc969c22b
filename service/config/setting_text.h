// What the texts of most settings are read by. Errors say what would be valid.
#ifndef KARTOGRAPH_SERVICE_CONFIG_SETTING_TEXT_H_
#define KARTOGRAPH_SERVICE_CONFIG_SETTING_TEXT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kartograph::service {

inline absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

inline absl::Status SetText(absl::string_view text, std::string& value) {
  if (text.empty()) return Wrong("must not be empty");
  value = std::string(text);
  return absl::OkStatus();
}

inline absl::Status SetSwitch(absl::string_view text, bool& value) {
  if (text != "true" && text != "false") return Wrong("must be true or false");
  value = text == "true";
  return absl::OkStatus();
}

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONFIG_SETTING_TEXT_H_
