// Kartograph's executor on a Mesos agent: runs the attempts that the agent launches, and tells it
// how they end.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_TASK_EXECUTOR_H_
#define KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_TASK_EXECUTOR_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "executor/cluster.h"
#include "executor/mesos/api_session.h"
#include "executor/mesos/executor/executor_environment.h"
#include "executor/mesos/executor/sandbox_remover.h"
#include "executor/mesos/executor/unacknowledged.h"
#include "executor/mesos/protocol/executor.pb.h"
#include "executor/runner/runner.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

// A task is one attempt: its id is the attempt's in text, its data a serialized wire.Launch, and
// the data of its updates a wire.Update. Every launch starts at once, as Mesos has counted its
// resources already. Attempts work in `sandboxes` in the executor's sandbox.
//
// Without its agent it goes on as long as the environment says; updates are given again then. Bound
// to the thread that runs the io_context, which runs nothing of it any more after its end.
class TaskExecutor {
 public:
  struct Options {
    ExecutorEnvironment environment;
    // Needed for an agent that speaks TLS; outlives this.
    boost::asio::ssl::context* tls_context = nullptr;
    // With the agent there, no attempt and nothing to acknowledge for so long, it is done.
    absl::Duration idle_exit = absl::Minutes(1);
    // That an attempt runs is told after so long. One that ends sooner has its end as its only
    // update: each costs agent, master and framework a message, and the agent a write to its disk.
    absl::Duration tell_running_after = absl::Milliseconds(20);
    absl::Duration report_interval = absl::Seconds(10);
    // A larger return value stays in its sandbox, and the update says where.
    size_t max_sent_result_bytes = 512 << 10;
  };
  // The status to exit with, and why, for people. Must not destroy the executor.
  using DoneFunction = std::function<void(int status, const std::string& reason)>;

  // Connects when the io_context runs. `done` is called once.
  static absl::StatusOr<std::unique_ptr<TaskExecutor>> Create(boost::asio::io_context& io,
                                                              Options options, DoneFunction done);
  // Kills what still runs.
  ~TaskExecutor();

  // Ends all attempts, tells the agent of it, and is done with 0.
  void ShutDown(const std::string& reason) { BeginEnd(0, reason); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::time_point kNever = Clock::time_point::max();

  struct Running {
    kartograph::mesos::AgentID agent;
    absl::Duration cancel_grace;
    bool told = false;       // that it runs
    bool cancelled = false;  // the framework wants its end
  };

  TaskExecutor(boost::asio::io_context& io, Options options, DoneFunction done,
               std::unique_ptr<Runner> runner, std::unique_ptr<SandboxRemover> remover);

  // The connection.
  void Connect();
  void OnRecord(absl::string_view record);
  void OnEnd(const SessionEnd& end);
  void OnSubscribed(const kartograph::mesos::executor::Event::Subscribed& subscribed);
  kartograph::mesos::executor::Call NewCall(kartograph::mesos::executor::Call::Type type) const;
  void GiveUpdates();
  void Report();

  // The attempts.
  void Launch(kartograph::mesos::TaskInfo task);
  void Kill(const kartograph::mesos::executor::Event::Kill& kill);
  void OnMessage(const std::string& data);
  void CollectEnded();
  void TellRunning(planner::AttemptId attempt);
  void Tell(AttemptUpdate update, kartograph::mesos::TaskState state,
            const kartograph::mesos::AgentID& agent);
  kartograph::mesos::TaskStatus NewStatus(const std::string& task_id,
                                          kartograph::mesos::TaskState state,
                                          const kartograph::mesos::AgentID& agent) const;

  // What is due. After whatever happens there is a turn, which does all that follows from it.
  void Watch();
  void ScheduleTurn();
  void Turn();
  void ArmTimer(Clock::time_point now);
  void BeginEnd(int status, const std::string& reason);
  bool IsIdle() const;
  bool IsDone(Clock::time_point now);

  boost::asio::io_context& io_;
  const Options options_;
  const DoneFunction done_;
  const std::unique_ptr<Runner> runner_;
  const std::unique_ptr<SandboxRemover> remover_;
  boost::asio::posix::stream_descriptor ended_processes_;  // the runner's
  boost::asio::steady_timer timer_;
  std::minstd_rand random_;

  std::unique_ptr<ApiSession> session_;
  bool subscribed_ = false;
  bool tells_killing_ = false;  // the framework knows TASK_KILLING
  Clock::time_point connect_at_ = Clock::time_point::min();
  Clock::time_point recover_by_ = kNever;  // without the agent
  absl::Duration backoff_;
  std::string last_problem_;

  Unacknowledged unacknowledged_;
  absl::flat_hash_map<uint64_t, Running> running_;  // by attempt
  // When attempts are told to run, in this order; some may have ended.
  std::deque<std::pair<Clock::time_point, planner::AttemptId>> to_tell_running_;
  std::vector<AttemptUpdate> just_ended_;
  Clock::time_point report_at_ = kNever;
  Clock::time_point idle_exit_at_ = kNever;

  bool turn_scheduled_ = false;
  bool done_told_ = false;
  bool ending_ = false;
  int exit_status_ = 0;
  std::string exit_reason_;
  Clock::time_point end_by_ = kNever;
  Clock::time_point last_words_by_ = kNever;  // for updates, when all attempts have ended
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_TASK_EXECUTOR_H_
