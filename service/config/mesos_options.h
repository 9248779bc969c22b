// What kartographd's settings mean for its framework on Mesos.
#ifndef KARTOGRAPH_SERVICE_CONFIG_MESOS_OPTIONS_H_
#define KARTOGRAPH_SERVICE_CONFIG_MESOS_OPTIONS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "executor/mesos/framework/mesos_cluster.h"
#include "service/config/config.h"

namespace kartograph::service {

struct MesosOptions {
  executor::MesosClusterOptions cluster;
  // kartograph-executor, to be served at this path; null where the agents have it.
  std::shared_ptr<const std::string> executor;
  std::string executor_path;
};

// Reads the executor and the credentials. The executor's path follows from `token`, so that nobody
// else can guess it and a restart keeps it. Errors say what to do.
absl::StatusOr<MesosOptions> MakeMesosOptions(const ServiceConfig& config, const std::string& state,
                                              absl::string_view token);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONFIG_MESOS_OPTIONS_H_
