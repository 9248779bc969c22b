// A cluster whose attempts start and end when a test says so.
#ifndef KARTOGRAPH_SERVICE_TESTING_SCRIPTED_CLUSTER_H_
#define KARTOGRAPH_SERVICE_TESTING_SCRIPTED_CLUSTER_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "executor/cluster.h"

namespace kartograph::service {

// One agent, "host-1", with 100 cores, whose kernel keeps memory limits. Thread-safe.
class ScriptedCluster final : public executor::Cluster, public executor::LogReader {
 public:
  // What becomes of each attempt as soon as it is launched; kNone: nothing, until the test says.
  void EndEachWith(planner::Outcome outcome);

  // Waits for a launch of this task that the test has not seen yet.
  executor::Launch WaitForLaunch(const std::string& task_name);
  void Run(planner::AttemptId attempt);
  void End(planner::AttemptId attempt, planner::Outcome outcome, const std::string& result = "",
           const std::string& message = "");
  void WriteLog(planner::AttemptId attempt, executor::LogStream stream, const std::string& text);
  int log_reads();
  // Is away from now on.
  void Disconnect(const std::string& reason) { Send({executor::Disconnected{reason}}); }

  absl::Status Start(executor::ClusterListener listener) override;
  void Execute(std::vector<executor::Launch> launches) override;
  void Cancel(planner::AttemptId attempt, const executor::AgentId& agent,
              absl::Duration grace) override;
  void Acknowledge(const std::vector<planner::AttemptId>&) override {}
  void Reconcile(std::vector<KnownAttempt> attempts) override;
  void Discard(planner::GraphId) override {}
  executor::LogReader* logs() override { return this; }
  void ReadLog(const executor::LogRequest& request,
               std::function<void(absl::StatusOr<executor::LogChunk>)> done) override;

 private:
  void Send(std::vector<executor::ClusterEvent> events);

  absl::Mutex sending_;  // keeps events in order
  executor::ClusterListener listener_;
  absl::Mutex mutex_;
  planner::Outcome end_with_ ABSL_GUARDED_BY(mutex_) = planner::Outcome::kNone;
  std::vector<executor::Launch> launches_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<planner::AttemptId, executor::LogStream>, std::string> logs_
      ABSL_GUARDED_BY(mutex_);
  int log_reads_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_TESTING_SCRIPTED_CLUSTER_H_
