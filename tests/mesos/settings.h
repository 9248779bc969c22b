// How a stand-in cluster is made, and what it counts.
#ifndef KARTOGRAPH_TESTS_MESOS_SETTINGS_H_
#define KARTOGRAPH_TESTS_MESOS_SETTINGS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "executor/mesos/protocol/mesos.pb.h"

namespace kartograph::stand_in {

// How a task goes that no process runs for.
struct SimulatedTask {
  absl::Duration duration;
  mesos::TaskState end = mesos::TASK_FINISHED;
  std::string message;
  std::string running_data, end_data;  // of the two updates
  bool starts = true;                  // false: it ends without having run
};

struct AgentSettings {
  std::string hostname = "localhost";
  std::string resources = "cpus:4;mem:8192;disk:100000";  // as for an agent's --resources
  std::string attributes;                                 // as for an agent's --attributes
};

struct Settings {
  std::vector<AgentSettings> agents = {{}};
  // Tasks are processes: the executor that their ExecutorInfo names, or the command. Otherwise
  // they are simulated.
  bool real_tasks = false;
  // Of simulated tasks; where there is a function, it is asked instead, on the stand-in's thread.
  absl::Duration task_duration;
  std::function<SimulatedTask(const mesos::TaskInfo&)> simulate;

  absl::Duration allocation_interval = absl::Seconds(1);
  absl::Duration heartbeat_interval = absl::Seconds(15);
  absl::Duration update_retry = absl::Seconds(10);  // of an update that is not acknowledged
  // A partitioned agent is marked unreachable after this.
  absl::Duration agent_timeout = absl::InfiniteDuration();
  absl::Duration executor_registration_timeout = absl::Minutes(1);
  absl::Duration executor_reregistration_timeout = absl::Seconds(2);
  absl::Duration executor_shutdown_grace = absl::Seconds(5);
  absl::Duration recovery_timeout = absl::Minutes(15);
  std::string min_allocatable = "cpus:0.01|mem:32";

  std::string user, password;  // where set, frameworks must authenticate
  int port = 0;
  std::string work_dir;  // for sandboxes; needed for real tasks
};

// Of durations, the mean and the percentiles come from all of them.
class Latency {
 public:
  void Add(absl::Duration value) { microseconds_.push_back(absl::ToInt64Microseconds(value)); }
  size_t count() const { return microseconds_.size(); }
  absl::Duration Percentile(double of_one) const;

 private:
  mutable std::vector<int64_t> microseconds_;
};

struct Counters {
  std::map<std::string, int64_t> calls;          // that were accepted, by type: "ACCEPT"
  std::map<std::string, int64_t> refused;        // by type, or "" where that could not be read
  std::map<std::string, int64_t> events;         // that were sent, by type
  std::map<std::string, int64_t> update_states;  // that were sent, by state: "TASK_RUNNING"
  int64_t offers = 0;
  int64_t launched = 0;            // tasks that came to an agent
  int64_t repeated_updates = 0;    // that were sent again
  int64_t redundant_launches = 0;  // of a task id that runs already
  int64_t invalid_offers = 0;      // tasks that came with an offer that was not valid
  int64_t overpromised = 0;        // times that an agent had more in use than it has: always 0
  int64_t executor_messages = 0, framework_messages = 0;
  int64_t downloads = 0;  // of files that executors want
  Latency offer_to_accept;
  Latency end_to_acknowledge;
};

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_SETTINGS_H_
