// Who uses more of the executor's container than it consumes.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_OVERUSE_H_
#define KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_OVERUSE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "executor/mesos/executor/sandbox_keeper.h"
#include "executor/mesos/protocol/framework_message.pb.h"
#include "planner/ids.h"
#include "planner/resources.h"

namespace kartograph::executor::mesos {

// What is declared and what was measured last, in bytes. The framework is told what is used beyond
// what is declared: Mesos says of a container that is over a limit no more than that. Pure and
// thread-compatible.
class OveruseTable {
 public:
  // Differences below this are not told.
  static constexpr uint64_t kLeast = 1 << 20;
  // Of attempts that are named; the others are one sum.
  static constexpr size_t kMaxNamed = 16;

  static uint64_t RamOf(const planner::ResourceVector& consumption);
  static uint64_t DiskOf(const planner::ResourceVector& consumption);

  void OnLaunch(planner::AttemptId attempt, const planner::ResourceVector& consumption);
  void OnEnd(planner::AttemptId attempt) { attempts_.erase(attempt); }

  // Whether all together have clearly grown since the last time.
  bool SetMemory(const std::vector<std::pair<planner::AttemptId, uint64_t>>& used);
  void SetDisk(const SandboxKeeper::Usage& used);

  // As of now.
  kartograph::mesos::Overuse Describe() const;
  // Whether that is news after `told`: somebody has a quarter more or less, and kLeast.
  static bool IsNews(const kartograph::mesos::Overuse& now, const kartograph::mesos::Overuse& told);

 private:
  struct Use {
    uint64_t ram_declared = 0, disk_declared = 0;
    uint64_t ram = 0, disk = 0;
  };
  absl::flat_hash_map<planner::AttemptId, Use> attempts_;
  uint64_t memory_ = 0;
  uint64_t left_ = 0;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_OVERUSE_H_
