// An agent of a stand-in cluster: what it runs, and what of it the master has yet to acknowledge.
#ifndef KARTOGRAPH_TESTS_MESOS_AGENT_H_
#define KARTOGRAPH_TESTS_MESOS_AGENT_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "executor/mesos/protocol/executor.pb.h"
#include "executor/mesos/protocol/mesos.pb.h"
#include "tests/mesos/http_endpoint.h"
#include "tests/mesos/loop.h"
#include "tests/mesos/pool.h"
#include "tests/mesos/process.h"
#include "tests/mesos/settings.h"

namespace kartograph::stand_in {

bool IsTerminal(mesos::TaskState state);
// 16 random bytes: a version 4 UUID.
std::string NewUuid();
std::string UuidText(const std::string& uuid);

class Agent;

// What a master receives from its agents. Not called while the agent cannot be reached.
class AgentListener {
 public:
  virtual ~AgentListener() = default;
  // `latest` is the state that the agent knows of; `status` may be an earlier one.
  virtual void OnUpdate(Agent* agent, const std::string& framework_id,
                        const mesos::TaskStatus& status, mesos::TaskState latest) = 0;
  virtual void OnExecutorExited(Agent* agent, const std::string& framework_id,
                                const std::string& executor_id, int status) = 0;
  virtual void OnExecutorMessage(Agent* agent, const std::string& framework_id,
                                 const std::string& executor_id, const std::string& data) = 0;
  // The connection is gone, and is there again.
  virtual void OnAgentDown(Agent* agent) = 0;
  virtual void OnAgentUp(Agent* agent) = 0;
};

// What all agents share.
struct AgentContext {
  Loop& loop;
  const Settings& settings;
  Counters& counters;
  AgentListener& listener;
};

class Agent {
 public:
  struct Task {
    mesos::TaskInfo info;  // without its executor
    std::string framework_id, executor_id;
    mesos::TaskState state = mesos::TASK_STAGING;
    std::deque<mesos::TaskStatus> pending;  // the first waits for its acknowledgement
    std::set<std::string> seen_uuids;       // of executors' updates
    absl::Time end_sent = absl::InfinitePast();
  };
  enum class ExecutorState { kRegistering, kRunning, kTerminating, kTerminated };
  struct Executor {
    mesos::ExecutorInfo info;
    std::string framework_id, id;
    bool command = false;    // Mesos's own, for a task that has a command
    bool simulated = false;  // no process
    ExecutorState state = ExecutorState::kRegistering;
    std::string run_id, directory;
    std::unique_ptr<Process> process;
    HttpReplier stream;
    std::vector<mesos::TaskInfo> queued;  // until it has registered
    std::set<std::string> tasks;          // ids of all that are not forgotten
    bool ever_sent_task = false;
    bool killed = false;                             // on purpose
    std::optional<mesos::TaskStatus::Reason> limit;  // its container was over one, and was killed
    std::string limit_message;
    bool over_time = false;  // of a command: over its max_completion_time
  };

  Agent(AgentContext context, std::string id, const AgentSettings& settings, Pool total);
  ~Agent();

  const std::string& id() const { return id_; }
  const std::string& hostname() const { return settings_.hostname; }
  const Pool& total() const { return total_; }
  mesos::AgentInfo Info() const;
  int port() const { return port_; }
  void set_port(int port) { port_ = port; }

  // From the master; on the loop's thread.
  void Launch(const mesos::FrameworkInfo& framework, const mesos::TaskInfo& task,
              bool launches_executor);
  // One that goes on until it is killed.
  void LaunchForeign(const mesos::FrameworkInfo& framework, const mesos::TaskInfo& task);
  void Kill(const std::string& framework_id, const std::string& task_id,
            const mesos::KillPolicy* policy);
  void Acknowledge(const std::string& framework_id, const std::string& task_id,
                   const std::string& uuid);
  void ShutdownExecutor(const std::string& framework_id, const std::string& executor_id);
  void ShutdownFramework(const std::string& framework_id);
  void SendMessage(const std::string& framework_id, const std::string& executor_id,
                   const std::string& data);
  void UpdateFramework(const mesos::FrameworkInfo& framework);
  // The master knows of the task; where the agent does not, it says so by an update.
  void ReconcileTask(const std::string& framework_id, const std::string& task_id);
  // The first update that waits of each task goes out again, now.
  void ResendUpdates();

  // POST /api/v1/executor, on the agent's endpoint.
  void OnExecutorCall(const HttpRequest& request, const HttpReplier& reply);

  // Whether messages come through, either way.
  bool reachable() const { return !partitioned_ && !down_; }
  bool partitioned() const { return partitioned_; }
  void set_partitioned(bool value) { partitioned_ = value; }
  // Whether operators get no files of it for now.
  bool hides_files() const { return files_status_ != 0; }
  // What it answers then.
  int files_status() const { return files_status_; }
  void set_files_status(int status) { files_status_ = status; }
  // As DRAIN_AGENT has it: what runs is killed, and all launches are dropped until no executor is
  // left.
  void Drain();
  // As with the posix launcher: what has left its session outlives its executor.
  void set_leaves_strays(bool value) { leaves_strays_ = value; }
  void set_loses_messages(bool value) { loses_messages_ = value; }
  bool down() const { return down_; }
  // The agent's process dies, its executors do not; after `down` it is back and waits for them.
  void Restart(absl::Duration down);
  // The host dies with all that runs on it.
  void KillAll();
  // A container in which a task of this name runs is soon over this limit, and is killed.
  void LimitContainersOf(const std::string& task_name, mesos::TaskStatus::Reason reason) {
    limited_task_ = task_name;
    limit_ = reason;
  }
  // From now on it measures containers, and kills those that are over what their executors and
  // tasks have of memory, or of disk where they have some.
  void EnforceLimits();
  void KillExecutor(const std::string& framework_id, const std::string& executor_id, int signal);

  // Keys are "framework/task" and "framework/executor".
  const absl::flat_hash_map<std::string, std::shared_ptr<Task>>& tasks() const { return tasks_; }
  const std::map<std::string, std::shared_ptr<Executor>>& executors() const { return executors_; }
  const std::vector<std::shared_ptr<Executor>>& completed() const { return completed_; }
  const std::map<std::string, mesos::FrameworkInfo>& frameworks() const { return frameworks_; }

 private:
  using TaskPtr = std::shared_ptr<Task>;
  using ExecutorPtr = std::shared_ptr<Executor>;

  Executor* FindExecutor(const std::string& framework_id, const std::string& executor_id);
  Task* FindTask(const std::string& framework_id, const std::string& task_id);
  TaskPtr AddTask(const std::string& framework_id, const mesos::TaskInfo& info,
                  const std::string& executor_id);
  bool PartitionAware(const std::string& framework_id) const;

  // An update: what is missing in it is filled in; it goes out once it is the task's first.
  void Update(const TaskPtr& task, mesos::TaskStatus status);
  void AgentUpdate(const TaskPtr& task, mesos::TaskState state, mesos::TaskStatus::Reason reason,
                   const std::string& message);
  void Forward(const TaskPtr& task, bool again);
  void Retry(const TaskPtr& task, const std::string& uuid);

  void FinishDrain();
  // That a task was given to its executor.
  void WatchLimit(const mesos::TaskInfo& info, const ExecutorPtr& executor);
  // agent_limits.cc
  void MeasureContainers();
  void EndOverLimit(const ExecutorPtr& executor, mesos::TaskStatus::Reason reason,
                    const std::string& why);
  void RunSimulated(const TaskPtr& task);
  void EndSimulated(const TaskPtr& task, const SimulatedTask& plan);

  // agent_executors.cc: real ones.
  void StartExecutor(const ExecutorPtr& executor);
  void StartCommand(const ExecutorPtr& executor, const TaskPtr& task);
  void Spawn(const ExecutorPtr& executor, const TaskPtr& command_task);
  std::string MakeSandbox(Executor* executor);
  std::vector<std::string> EnvironmentOf(const Executor& executor) const;
  void SendTask(Executor* executor, const mesos::TaskInfo& info);
  void OnSubscribe(Executor* executor, const mesos::executor::Call::Subscribe& subscribe,
                   const HttpReplier& reply);
  void OnExecutorUpdate(Executor* executor, const mesos::TaskStatus& status);
  void OnCommandEnd(const ExecutorPtr& executor, const TaskPtr& task, int status);
  void OnExecutorEnd(const ExecutorPtr& executor, int status);
  void OnExecutorFailed(const ExecutorPtr& executor, const std::string& why);
  void Terminate(Executor* executor, bool gracefully);
  void FinishRecovery();
  void FinishRecoveryIfComplete();
  void RemoveIfDone(const std::string& key);
  static void SendEvent(Executor* executor, const mesos::executor::Event& event);

  AgentContext context_;
  const std::string id_;
  const AgentSettings settings_;
  const Pool total_;
  int port_ = 0;
  bool partitioned_ = false;
  bool down_ = false;
  int files_status_ = 0;
  bool loses_messages_ = false;
  bool draining_ = false;
  bool leaves_strays_ = false;
  bool enforces_ = false;
  std::string limited_task_;
  mesos::TaskStatus::Reason limit_ = mesos::TaskStatus::REASON_CONTAINER_LIMITATION;
  bool recovering_ = false;  // is back, and waits for its executors
  std::map<std::string, mesos::FrameworkInfo> frameworks_;
  absl::flat_hash_map<std::string, TaskPtr> tasks_;
  std::map<std::string, ExecutorPtr> executors_;
  std::vector<ExecutorPtr> completed_;
};

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_AGENT_H_
