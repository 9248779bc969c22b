// What an executor sends to its agent again until the agent has acknowledged it.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_OUTBOX_H_
#define KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_OUTBOX_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "executor/mesos/protocol/executor.pb.h"

namespace kartograph::executor::mesos {

// The tasks of an executor and their updates. A task is known until its end, and with it all its
// earlier updates, is acknowledged. Thread-compatible.
class Outbox {
 public:
  // Whether it is new; a known one stays as it is.
  bool AddTask(kartograph::mesos::TaskInfo task);
  // Of a known task, with its uuid. What comes after the end of a task is ignored.
  void AddUpdate(kartograph::mesos::TaskStatus status);
  // What is not known, or acknowledged already, is ignored. Whether the task is dropped with this.
  bool Acknowledge(const std::string& task_id, const std::string& uuid);

  // Whether the task is known and has not ended.
  bool IsAlive(const std::string& task_id) const;
  bool empty() const { return tasks_.empty() && updates_.empty(); }
  bool has_updates() const { return !updates_.empty(); }

  // The tasks of which nothing was acknowledged yet, and all updates in order. They count as sent.
  void Fill(kartograph::mesos::executor::Call::Subscribe* subscribe);
  // The next update that was not sent yet; null: none. Valid until the next change.
  const kartograph::mesos::TaskStatus* NextToSend();

 private:
  struct Task {
    uint64_t number = 0;  // its place in infos_, where it is not acknowledged
    size_t updates = 0;   // of it in updates_
    bool ended = false;
  };

  uint64_t last_number_ = 0;
  uint64_t sent_ = 0;  // the updates up to this number
  absl::flat_hash_map<std::string, Task> tasks_;
  std::map<uint64_t, kartograph::mesos::TaskInfo>
      infos_;  // of tasks without an acknowledged update, in order
  std::map<uint64_t, kartograph::mesos::TaskStatus> updates_;
  absl::flat_hash_map<std::string, uint64_t> numbers_;  // of updates, by uuid
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_OUTBOX_H_
