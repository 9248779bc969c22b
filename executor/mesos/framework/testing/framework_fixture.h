// For tests of Kartograph as a framework: one that runs against a stand-in cluster, and what its
// scheduler would receive.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TESTING_FRAMEWORK_FIXTURE_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TESTING_FRAMEWORK_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "executor/cluster.h"
#include "executor/mesos/framework/mesos_cluster.h"
#include "tests/mesos/stand_in.h"

namespace kartograph::stand_in {

inline constexpr absl::Duration kPatience = absl::Minutes(1);

// What a cluster reports, kept until a test waits for it; offers not longer than they are valid.
// Thread-safe.
class Recorder {
 public:
  void Add(std::vector<executor::ClusterEvent> events);

  // Waits for the first of its kind that matches, and takes it out. The test has failed where none
  // comes.
  template <typename T>
  T Await(const std::function<bool(const T&)>& matches = nullptr) {
    absl::MutexLock lock(&mutex_);
    auto found = events_.end();
    const auto look = [&] {
      for (found = events_.begin(); found != events_.end(); ++found) {
        const T* event = std::get_if<T>(&*found);
        if (event != nullptr && (!matches || matches(*event))) return true;
      }
      return false;
    };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&look), kPatience)) {
      ADD_FAILURE() << "what is waited for does not come";
      return T();
    }
    T event = std::get<T>(std::move(*found));
    events_.erase(found);
    return event;
  }
  // Whether one is there already.
  template <typename T>
  bool Has(const std::function<bool(const T&)>& matches = nullptr) {
    absl::MutexLock lock(&mutex_);
    for (const executor::ClusterEvent& event : events_) {
      const T* one = std::get_if<T>(&event);
      if (one != nullptr && (!matches || matches(*one))) return true;
    }
    return false;
  }
  // Drops what is there.
  void Clear();

 private:
  absl::Mutex mutex_;
  std::list<executor::ClusterEvent> events_;
};

// A Mesos cluster as the scheduler has it. Thread-compatible.
class Kartograph {
 public:
  explicit Kartograph(executor::MesosClusterOptions options);

  executor::Cluster& cluster() { return *cluster_; }
  template <typename T>
  T Await(const std::function<bool(const T&)>& matches = nullptr) {
    return recorder_.Await<T>(matches);
  }
  template <typename T>
  bool Has(const std::function<bool(const T&)>& matches = nullptr) {
    return recorder_.Has<T>(matches);
  }
  void Forget() { recorder_.Clear(); }

  // An offer with something in it.
  executor::Offer AwaitOffer();
  executor::AttemptUpdate AwaitRunning(planner::AttemptId attempt);
  executor::AttemptUpdate AwaitUnreachable(planner::AttemptId attempt);
  executor::AttemptUpdate AwaitEnd(planner::AttemptId attempt);
  // Launches a task of this name where the next offer is, and waits until it runs.
  executor::Launch Run(const std::string& name, uint32_t task);
  void Reconcile(const executor::Launch& launch) {
    cluster_->Reconcile({{launch.attempt, launch.agent}});
  }
  absl::StatusOr<executor::LogChunk> ReadLog(const executor::LogRequest& request);

 private:
  Recorder recorder_;
  std::unique_ptr<executor::Cluster> cluster_;
};

// The first attempt of a task of the graph 1.
planner::AttemptId AttemptOf(uint32_t task);
executor::Launch LaunchOn(const executor::AgentId& agent, const std::string& name, uint32_t task);
planner::ResourceVector CpuAndRam(double cpus, int64_t mib);

// Simulated tasks go as their names say: "forever" and "hog" run until they are killed, "quick"
// succeeds and returns its name, "exit" ends with status 3.
class FrameworkTest : public testing::Test {
 protected:
  FrameworkTest();
  ~FrameworkTest() override;

  // `settings_` and `options_` hold for the next start.
  void StartMesos();
  void StartKartograph();
  // Both, and waits for the connection.
  void StartAll();
  // A new kartographd in the place of the one that was.
  void RestartKartograph();
  executor::MesosClusterOptions OptionsFor(const StandIn& mesos) const;

  Kartograph& kartograph() { return *kartograph_; }
  StandIn& mesos() { return *mesos_; }
  void Control(absl::string_view target);
  // Waits until it holds of the stand-in.
  void AwaitMesos(const std::function<bool(const Master&)>& holds);
  void AwaitCalls(const std::string& type, int64_t calls);
  // Calls that the stand-in did not accept.
  void AwaitRefused(int64_t calls);
  std::vector<std::string> FrameworkIds();
  // Of all tasks that agents have not forgotten.
  void AwaitNoTasks();
  std::string StoredId() const;
  const std::string& id_file() const { return options_.id_file; }
  const std::string& folder() const { return folder_; }

  Settings settings_;
  executor::mesos::FrameworkOptions options_;

 private:
  std::string folder_;
  std::unique_ptr<StandIn> mesos_;
  std::unique_ptr<Kartograph> kartograph_;
};

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TESTING_FRAMEWORK_FIXTURE_H_
