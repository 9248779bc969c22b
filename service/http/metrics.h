// What Prometheus scrapes.
#ifndef KARTOGRAPH_SERVICE_HTTP_METRICS_H_
#define KARTOGRAPH_SERVICE_HTTP_METRICS_H_

#include <string>

#include "absl/time/time.h"
#include "scheduler/snapshot.h"

namespace kartograph::service {

struct MetricsInput {
  scheduler::ClusterSnapshot cluster;
  scheduler::Totals totals;
  int64_t live_graphs = 0;
  bool history_writable = true;
  std::string version;
  absl::Time start_time;
};

// In Prometheus' text format.
std::string MetricsText(const MetricsInput& input);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_METRICS_H_
