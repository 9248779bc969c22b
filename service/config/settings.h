// Every setting of kartographd: its name, what it means, how its text is read. Flags and file share
// them.
#ifndef KARTOGRAPH_SERVICE_CONFIG_SETTINGS_H_
#define KARTOGRAPH_SERVICE_CONFIG_SETTINGS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "service/config/config.h"

namespace kartograph::service {

struct Setting {
  enum class Kind {
    kValue,
    kNamed,   // may be given several times, as NAME=VALUE; in the file as a map
    kSwitch,  // a flag without a value; in the file true or false
  };
  const char* name;      // of the flag, without dashes
  const char* file_key;  // in the file
  Kind kind;
  const char* value_name;  // for the help
  const char* help;
  // Reads a text into the configuration. The error says what would be valid.
  absl::Status (*apply)(absl::string_view text, ServiceConfig& config);
  bool reloads = false;  // a running service takes it over
};

absl::Span<const Setting> Settings();

// setting.apply, which is also noted in config.given.
absl::Status Apply(const Setting& setting, absl::string_view text, ServiceConfig& config);

// What holds between settings, once all are read.
absl::Status CheckConfig(const ServiceConfig& config);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONFIG_SETTINGS_H_
