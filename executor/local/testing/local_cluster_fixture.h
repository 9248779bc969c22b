// For tests of the local cluster: one with its agent, and what it has reported.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_TESTING_LOCAL_CLUSTER_FIXTURE_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_TESTING_LOCAL_CLUSTER_FIXTURE_H_

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/local/local_cluster.h"
#include "executor/payload.pb.h"
#include "executor/runner/process_table.h"

namespace kartograph::executor {

using planner::AttemptId;
using planner::Outcome;
using planner::Quantity;
using planner::Resource;

// Long enough for any machine; tests end as soon as what they wait for is there.
inline constexpr absl::Duration kPatience = absl::Minutes(1);

inline AttemptId Id(uint32_t index, uint32_t number = 1) {
  return AttemptId::Of(planner::TaskKey::Of(7, index), number);
}

inline std::string ReadWhole(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Polls for what happens outside the cluster's events.
template <typename Condition>
bool Eventually(Condition condition) {
  for (absl::Time until = absl::Now() + kPatience; absl::Now() < until;) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return false;
}

inline bool Lives(pid_t pid) {
  auto process = ReadProcess(pid);
  return process.has_value() && !process->zombie;
}

// A LocalCluster with what it has reported.
class Client {
 public:
  explicit Client(LocalClusterOptions options) {
    auto cluster = CreateLocalCluster(std::move(options));
    EXPECT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    EXPECT_TRUE(
        cluster_->Start([this](std::vector<ClusterEvent> events) { Take(std::move(events)); })
            .ok());
  }

  Cluster* operator->() { return cluster_.get(); }
  void Destroy() { cluster_.reset(); }

  // Waits until `condition` holds, which is checked after every batch of events.
  template <typename Condition>
  bool Wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoSeconds(kPatience), condition);
  }
  bool WaitConnected(int times = 1) {
    return Wait([this, times] { return connected_ >= times && offers_.size() >= size_t(times); });
  }
  bool WaitOffers(size_t times) {
    return Wait([this, times] { return offers_.size() >= times; });
  }
  bool WaitDisconnected(int times = 1) {
    return Wait([this, times] { return reasons_.size() >= size_t(times); });
  }
  size_t disconnected() {
    std::lock_guard lock(mutex_);
    return reasons_.size();
  }
  // The end of an attempt.
  AttemptUpdate WaitEnd(AttemptId attempt) {
    EXPECT_TRUE(Wait([this, attempt] { return ends_.contains(attempt.value); }))
        << AttemptIdToString(attempt) << " has not ended";
    std::lock_guard lock(mutex_);
    return ends_[attempt.value];
  }
  bool WaitRunning(AttemptId attempt) {
    return Wait([this, attempt] { return running_.contains(attempt.value); });
  }

  Offer offer() {
    std::lock_guard lock(mutex_);
    return offers_.back();
  }
  std::string reason() {
    std::lock_guard lock(mutex_);
    return reasons_.back();
  }
  int ends(AttemptId attempt) {
    std::lock_guard lock(mutex_);
    return end_counts_[attempt.value];
  }
  bool HasEnded(AttemptId attempt) { return ends(attempt) > 0; }
  bool SaidToRun(AttemptId attempt) {
    std::lock_guard lock(mutex_);
    return running_.contains(attempt.value);
  }
  size_t unreachable() {
    std::lock_guard lock(mutex_);
    return unreachable_;
  }
  bool WaitUnreachable(size_t times = 1) {
    return Wait([this, times] { return unreachable_ >= times; });
  }
  bool SaidToWait(AttemptId attempt) {
    std::lock_guard lock(mutex_);
    return waiting_.contains(attempt.value);
  }

 private:
  void Take(std::vector<ClusterEvent> events) {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
    for (ClusterEvent& event : events) {
      if (std::get_if<Connected>(&event)) ++connected_;
      if (std::get_if<AgentUnreachable>(&event)) ++unreachable_;
      if (auto* offer = std::get_if<Offer>(&event)) offers_.push_back(*offer);
      if (auto* gone = std::get_if<Disconnected>(&event)) reasons_.push_back(gone->reason);
      if (auto* update = std::get_if<AttemptUpdate>(&event)) {
        uint64_t attempt = update->attempt.value;
        if (update->outcome != Outcome::kNone) {
          ++end_counts_[attempt];
          ends_[attempt] = std::move(*update);
        } else if (update->start_time == absl::InfinitePast()) {
          waiting_[attempt] = true;
        } else {
          running_[attempt] = true;
        }
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int connected_ = 0;
  size_t unreachable_ = 0;
  std::vector<Offer> offers_;
  std::vector<std::string> reasons_;
  std::map<uint64_t, AttemptUpdate> ends_;
  std::map<uint64_t, int> end_counts_;
  std::map<uint64_t, bool> running_;
  std::map<uint64_t, bool> waiting_;
  std::unique_ptr<Cluster> cluster_;
};

class LocalClusterTest : public ::testing::Test {
 protected:
  LocalClusterTest() {
    // Longer than the path of a socket may be.
    state_dir_ = absl::StrCat(getenv("TEST_TMPDIR"), "/", std::string(120, 'x'), "/state.XXXXXX");
    std::filesystem::create_directories(std::filesystem::path(state_dir_).parent_path());
    EXPECT_NE(mkdtemp(state_dir_.data()), nullptr);
    char* folder = get_current_dir_name();
    options_.state_dir = state_dir_;
    options_.agent_binary = absl::StrCat(folder, "/executor/local/kartograph-local-agent");
    free(folder);
    options_.resources = {{Resource::Cpu(), Quantity::Of(4)},
                          {Resource::Ram(), Quantity::Of(int64_t{8} << 30)}};
  }
  ~LocalClusterTest() override {
    // Whatever a test has done, no agent is left, and with it no attempt.
    pid_t agent = AgentPid();
    if (agent > 0 && Lives(agent)) {
      kill(agent, SIGTERM);
      EXPECT_TRUE(Eventually([agent] { return !Lives(agent); }));
    }
  }

  // 0 where there never was one.
  pid_t AgentPid() {
    pid_t pid = 0;
    return absl::SimpleAtoi(ReadWhole(state_dir_ + "/agent.pid"), &pid) ? pid : 0;
  }
  std::string File(absl::string_view name) { return absl::StrCat(state_dir_, "/", name); }

  static Launch Shell(AttemptId attempt, const std::string& line, int cpu_milli = 1000) {
    Payload payload;
    payload.set_shell(line);
    Launch launch;
    launch.attempt = attempt;
    launch.agent = kLocalAgentId;
    launch.task_name = absl::StrCat("task", attempt.task().index());
    launch.consumption.Set(Resource::Cpu(), Quantity::FromMilli(cpu_milli));
    launch.payload = payload.SerializeAsString();
    launch.cancel_grace = absl::Seconds(1);
    return launch;
  }
  // Makes `file`, then waits until it is removed.
  std::string Hold(absl::string_view file) {
    return absl::StrCat("touch ", File(file), "; while [ -e ", File(file),
                        " ]; do sleep 0.01; done");
  }
  void Release(absl::string_view file) {
    EXPECT_TRUE(Eventually([&] { return std::filesystem::remove(File(file)); }));
  }

  std::string state_dir_;
  LocalClusterOptions options_;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_TESTING_LOCAL_CLUSTER_FIXTURE_H_
