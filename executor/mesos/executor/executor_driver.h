// Kartograph's executor on a Mesos agent: runs the attempts that the agent launches, and reports
// how they end.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_EXECUTOR_DRIVER_H_
#define KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_EXECUTOR_DRIVER_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/agent/agent.h"
#include "executor/agent/runner_processes.h"
#include "executor/agent/session_record.h"
#include "executor/disk_limits.h"
#include "executor/memory_limits.h"
#include "executor/mesos/api_session.h"
#include "executor/mesos/executor/blob_fetcher.h"
#include "executor/mesos/executor/executor_environment.h"
#include "executor/mesos/executor/outbox.h"
#include "executor/mesos/executor/overuse.h"
#include "executor/mesos/executor/sandbox_keeper.h"
#include "executor/mesos/protocol/executor.pb.h"
#include "executor/mesos/protocol/framework_message.pb.h"
#include "planner/ids.h"
#include "planner/resources.h"

namespace kartograph::executor::mesos {

// A task is one attempt: its id is the attempt's in text, its data a serialized wire.Launch, and
// the data of its updates a wire.Update. Every launch starts at once, as Mesos has counted its
// resources already, but for one that reads blobs, which waits until they are here. Attempts work
// in `sandboxes` in the executor's sandbox, blobs are in `blobs`.
//
// "The agent" is Mesos's here; `attempts_` is ours. Without its agent it goes on as long as the
// environment says; updates are sent again then. Bound to the thread that runs the io_context,
// which runs nothing of it any more after its end.
class ExecutorDriver {
 public:
  struct Options {
    ExecutorEnvironment environment;
    // Needed for an agent that speaks TLS; outlives this.
    boost::asio::ssl::context* tls_context = nullptr;
    // With the agent connected, no attempt and nothing to acknowledge for this long, it is done.
    absl::Duration idle_exit = absl::Minutes(1);
    // That an attempt runs is reported after this long. One that ends sooner has its end as its
    // only update: each costs agent, master and framework a message, and the agent a write to its
    // disk.
    absl::Duration tell_running_after = absl::Milliseconds(20);
    absl::Duration report_interval = absl::Seconds(10);
    DiskLimits disk_limits;
    int64_t ram_headroom = RamHeadroom::kUsual;  // bytes
    // Bytes of disk that Mesos has counted as the executor's own.
    uint64_t own_disk = 0;
    absl::Duration disk_look_period = absl::Seconds(1);  // see SandboxKeeper
    // Bytes that idle workers may hold for longer than a moment. They are in the executor's
    // container: beyond what Mesos counts as the executor's own, they would take what attempts have
    // declared.
    uint64_t idle_memory = 32 << 20;
    // Of these each attempt is given instances for itself, the lowest numbers that are free on this
    // host. There are as many as Mesos has counted, so no number reaches the agent's own.
    std::vector<planner::Resource> indexed;
    // A larger return value stays in its sandbox, and the update says where. The framework asks for
    // it in messages, in parts of at most this size.
    size_t max_sent_result_bytes = 512 << 10;
  };
  // The status to exit with, and why, for people. Must not destroy the executor.
  using DoneFunction = std::function<void(int status, const std::string& reason)>;

  // Ends what executors before it have left (predecessors.h), and connects when the io_context
  // runs. `done` is called once.
  static absl::StatusOr<std::unique_ptr<ExecutorDriver>> Create(boost::asio::io_context& io,
                                                                Options options, DoneFunction done);
  // Kills what still runs.
  ~ExecutorDriver();

  // Ends all attempts, reports that to the agent, and is done with 0.
  void ShutDown(const std::string& reason) { BeginEnd(0, reason); }

 private:
  static constexpr SteadyTime kNever = SteadyTime::InfiniteFuture();

  ExecutorDriver(boost::asio::io_context& io, Options options, DoneFunction done,
                 std::unique_ptr<SessionRecord> sessions,
                 std::unique_ptr<RunnerProcesses> processes, std::unique_ptr<BlobFetcher> blobs);

  // The connection.
  void Connect();
  void OnRecord(absl::string_view record);
  void OnEnd(const SessionEnd& end);
  void OnSubscribed(const kartograph::mesos::executor::Event::Subscribed& subscribed);
  kartograph::mesos::executor::Call NewCall(kartograph::mesos::executor::Call::Type type) const;
  void SendUpdates();
  void ReportHost();
  void SendMessage(const kartograph::mesos::FromExecutor& message);
  // What attempts use beyond what they consume.
  absl::Status BeginToKeepSandboxes();
  void LookAtMemory(SteadyTime now);
  void TellOveruse(SteadyTime now);

  // The attempts.
  void Launch(kartograph::mesos::TaskInfo task);
  void Kill(const kartograph::mesos::executor::Event::Kill& kill);
  void OnMessage(const std::string& data);
  void SendValues(const kartograph::mesos::ToExecutor& wanted);
  // Launches those whose blobs have come, and asks for others.
  void FetchBlobs();
  // The end of an attempt that waits for its blobs. False where there is none.
  bool EndHeld(planner::AttemptId attempt, planner::Outcome outcome, const std::string& why);
  void OnAcknowledged(const kartograph::mesos::executor::Event::Acknowledged& acknowledged);
  void Update(AttemptReport report, kartograph::mesos::TaskState state);
  // What an update says of its attempt.
  void SetContent(const AttemptReport& report, bool names_file,
                  kartograph::mesos::TaskStatus* status) const;
  // Adds the return value to an update that is sent now, or, where it has more than `max_bytes`,
  // where it is. Returns how many bytes it has.
  size_t AddReturnValue(size_t max_bytes, kartograph::mesos::TaskStatus* status);
  kartograph::mesos::TaskStatus NewStatus(const std::string& task_id,
                                          kartograph::mesos::TaskState state) const;

  // What is due. After whatever happens there is a turn, which does all that follows from it.
  void AwaitEndedProcesses();
  void ScheduleTurn();
  void Turn();
  void ArmTimer(SteadyTime now);
  void BeginEnd(int status, const std::string& reason);
  bool IsDone(SteadyTime now);

  boost::asio::io_context& io_;
  const Options options_;
  const DoneFunction done_;
  const Clock& clock_ = Clock::System();
  const std::unique_ptr<SessionRecord> sessions_;
  const std::unique_ptr<RunnerProcesses> processes_;
  const std::unique_ptr<BlobFetcher> blobs_;
  std::unique_ptr<SandboxKeeper> keeper_;
  Agent attempts_;
  boost::asio::posix::stream_descriptor ended_processes_;  // the runner's
  boost::asio::steady_timer timer_;
  std::minstd_rand random_;

  std::unique_ptr<ApiSession> session_;
  bool subscribed_ = false;
  bool tells_killing_ = false;  // the framework knows TASK_KILLING
  SteadyTime connect_at_ = SteadyTime::InfinitePast();
  SteadyTime recover_by_ = kNever;  // without the agent
  absl::Duration backoff_;
  std::string last_problem_;

  // Attempts that wait for their blobs.
  struct Held {
    executor::Launch launch;
    Incarnation incarnation = 0;
  };
  absl::flat_hash_map<uint64_t, Held> held_;
  Outbox outbox_;
  kartograph::mesos::AgentID agent_id_;
  absl::flat_hash_set<uint64_t> killed_;  // attempts that run, whose end the framework wants
  // Ends in the outbox whose return values are left on disk; by task id.
  absl::flat_hash_map<std::string, AttemptReport> return_values_;
  // Ends that were sent with the name of the file that holds the value, by task id. The agent
  // acknowledges them long before the framework has read that file, which stays until its graph is
  // discarded.
  absl::flat_hash_set<std::string> named_files_;
  SteadyTime report_at_ = kNever;
  OveruseTable overuse_;
  kartograph::mesos::Overuse told_overuse_;
  SteadyTime tell_overuse_at_ = SteadyTime::InfinitePast();  // not before
  SteadyTime look_at_ = kNever;                              // at memory
  SteadyTime value_asked_at_ = SteadyTime::InfinitePast();   // for a part of one, last

  bool turn_scheduled_ = false;
  bool is_done_ = false;
  bool ending_ = false;
  int exit_status_ = 0;
  std::string exit_reason_;
  SteadyTime end_by_ = kNever;
  SteadyTime flush_by_ = kNever;  // for updates, when all attempts have ended
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_EXECUTOR_DRIVER_H_
