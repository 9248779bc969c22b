// The settings of kartographd that say who may use it from where.
#ifndef KARTOGRAPH_SERVICE_CONFIG_ACCESS_SETTINGS_H_
#define KARTOGRAPH_SERVICE_CONFIG_ACCESS_SETTINGS_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "service/config/config.h"
#include "service/config/settings.h"

namespace kartograph::service {

absl::Span<const Setting> AccessSettings();

// What holds between them and the others.
absl::Status CheckAccessConfig(const ServiceConfig& config);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONFIG_ACCESS_SETTINGS_H_
