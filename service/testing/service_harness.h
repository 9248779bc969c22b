// Everything below the transports, real but for the cluster: scheduler, history in a fresh folder,
// queries.
#ifndef KARTOGRAPH_SERVICE_TESTING_SERVICE_HARNESS_H_
#define KARTOGRAPH_SERVICE_TESTING_SERVICE_HARNESS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "planner/ids.h"
#include "scheduler/scheduler.h"
#include "service/blob_store.h"
#include "service/change_hub.h"
#include "service/queries.h"
#include "service/service_parts.h"
#include "service/testing/scripted_cluster.h"
#include "service/worker_pool.h"
#include "storage/history.h"

namespace kartograph::service {

class ServiceHarness {
 public:
  static constexpr char kOwner[] = "maps";
  static constexpr char kToken[] = "a token of 32 bytes at the least";

  explicit ServiceHarness(scheduler::SchedulerOptions options = {});
  ~ServiceHarness();

  // As at the daemon's end; the transports are then shut down and the harness is destroyed.
  void StopScheduler();

  // Tasks as "name" or "name after,after"; each runs `true`.
  planner::GraphId Submit(const std::string& name, const std::vector<std::string>& tasks,
                          const std::string& queue = "");
  void WaitForState(planner::GraphId graph, planner::GraphState state);
  void WaitForTask(planner::GraphId graph, const std::string& task, v1::TaskState state);
  // Waits until `holds`, which checks something that changes by itself.
  static void Eventually(const std::function<bool()>& holds);

  // In order of their dependencies.
  ScriptedCluster cluster;
  storage::History history;
  std::unique_ptr<scheduler::Scheduler> scheduler;
  std::unique_ptr<Queries> queries;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<WorkerPool> log_workers;
  std::unique_ptr<BlobStore> blobs;
  std::unique_ptr<WorkerPool> blob_workers;
  std::unique_ptr<ChangeHub> hub;
  std::unique_ptr<Users> users;  // of whom kOwner has kToken
  ServiceParts parts;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_TESTING_SERVICE_HARNESS_H_
