// What the transports are built on.
#ifndef KARTOGRAPH_SERVICE_SERVICE_PARTS_H_
#define KARTOGRAPH_SERVICE_SERVICE_PARTS_H_

#include <cstdint>
#include <memory>

#include "executor/cluster.h"
#include "planner/resources.h"
#include "scheduler/scheduler.h"
#include "service/access/users.h"
#include "service/blob_store.h"
#include "service/change_hub.h"
#include "service/queries.h"
#include "service/shared_limit.h"
#include "service/worker_pool.h"

namespace kartograph::service {

// What calls may hold, alone and together.
struct ServiceLimits {
  explicit ServiceLimits(int64_t max_streams = 1000) : streams(max_streams) {}
  SharedLimit streams;                            // that are open at once
  SharedLimit submitted_bytes{int64_t{2} << 30};  // of graphs that are being received
  size_t watched_bytes = 64 << 20;                // of changes that wait for one watcher
};

// Owned by the daemon; outlives every call.
struct ServiceParts {
  scheduler::Scheduler* scheduler = nullptr;
  executor::LogReader* logs = nullptr;
  Queries* queries = nullptr;
  ChangeHub* hub = nullptr;
  Users* users = nullptr;
  WorkerPool* workers = nullptr;
  // For calls that wait for an agent: a dead one keeps no other call waiting.
  WorkerPool* log_workers = nullptr;
  // Where tasks can read blobs; otherwise null.
  BlobStore* blobs = nullptr;
  // For calls that read and write blobs: a slow disk keeps no other call waiting.
  WorkerPool* blob_workers = nullptr;
  // Whether the cluster can run a task in a container.
  bool runs_containers = true;
  // What a task consumes that names no ram; zero: none.
  planner::Quantity default_ram;
  // A submitted graph over one of these is refused while it is still being received.
  int64_t max_graph_tasks = 1'000'000;
  int64_t max_graph_bytes = int64_t{1} << 30;
  std::shared_ptr<ServiceLimits> limits = std::make_shared<ServiceLimits>();
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_SERVICE_PARTS_H_
