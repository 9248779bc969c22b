// Reads logs, with a bound on the reads of each agent.
#ifndef KARTOGRAPH_SERVICE_BOUNDED_LOG_READER_H_
#define KARTOGRAPH_SERVICE_BOUNDED_LOG_READER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "executor/cluster.h"

namespace kartograph::service {

// Passes on a bounded number of reads for each agent at once, and queues as bounded a number more:
// what an agent that does not answer holds has a bound, and reads on other agents do not wait for
// it. Thread-safe.
class BoundedLogReader : public executor::LogReader {
 public:
  struct Options {
    size_t in_flight = 4;  // for each agent
    size_t queued = 200;
    // An agent has this long for an answer; after it another read may take its place.
    absl::Duration patience = absl::Seconds(10);
    const Clock* clock = &Clock::System();
  };
  // `logs` outlives this, and this outlives every read.
  BoundedLogReader(Options options, executor::LogReader* logs) : options_(options), logs_(logs) {}

  std::string SandboxOf(planner::AttemptId attempt, const executor::AgentId& agent) override {
    return logs_->SandboxOf(attempt, agent);
  }
  // Adds to the errors ResourceExhausted, where too many wait for the agent already.
  void ReadLog(const executor::LogRequest& request,
               std::function<void(absl::StatusOr<executor::LogChunk>)> done) override;

 private:
  struct Read {
    executor::LogRequest request;
    std::function<void(absl::StatusOr<executor::LogChunk>)> done;
  };
  struct Agent {
    absl::flat_hash_map<int64_t, SteadyTime> in_flight;  // when each began
    std::deque<Read> queue;
  };

  void Start(const executor::AgentId& agent, int64_t id, Read read);
  void OnAnswer(const executor::AgentId& agent, int64_t id);

  const Options options_;
  executor::LogReader* const logs_;
  Mutex mutex_;
  // Those with a read.
  absl::flat_hash_map<executor::AgentId, Agent> agents_ ABSL_GUARDED_BY(mutex_);
  int64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_BOUNDED_LOG_READER_H_
