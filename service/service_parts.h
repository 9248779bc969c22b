// What the transports stand upon.
#ifndef KARTOGRAPH_SERVICE_SERVICE_PARTS_H_
#define KARTOGRAPH_SERVICE_SERVICE_PARTS_H_

#include <cstdint>

#include "executor/cluster.h"
#include "scheduler/scheduler.h"
#include "service/change_hub.h"
#include "service/queries.h"
#include "service/worker_pool.h"

namespace kartograph::service {

// Owned by the daemon; outlives every call.
struct ServiceParts {
  scheduler::Scheduler* scheduler = nullptr;
  executor::Cluster* cluster = nullptr;
  Queries* queries = nullptr;
  ChangeHub* hub = nullptr;
  WorkerPool* workers = nullptr;
  // A submitted graph over one of these is refused while it is still being received.
  int64_t max_graph_tasks = 1'000'000;
  int64_t max_graph_bytes = int64_t{1} << 30;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_SERVICE_PARTS_H_
