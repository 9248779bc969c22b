// The agent of the local cluster: owns the attempts of one state folder, so that kartographd may
// come and go.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_AGENT_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_AGENT_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/descriptor.h"
#include "executor/cluster.h"
#include "executor/local/agent.pb.h"
#include "executor/local/protocol.h"
#include "executor/runner/runner.h"
#include "executor/wire/attempt.h"
#include "planner/resources.h"

namespace kartograph::executor::local {

// Keeps attempts in the order they came, and starts each as soon as what it consumes fits into what
// is free; never more than the whole, whatever is sent. Keeps ended attempts until they are
// acknowledged, and tells them again on every new connection. Ends its attempts when the state
// folder is deleted, as nobody can ask for them any more. One thread, which calls Run.
class Agent {
 public:
  struct Options {
    std::string state_dir;  // absolute
    // With no connection and no attempts for so long, Run returns.
    absl::Duration idle_exit = absl::Minutes(1);
    CgroupPool* cgroups = nullptr;  // may be null; outlives the agent
  };
  // Listens when it returns. `terminate_fd` is readable when the agent is to end its attempts and
  // return.
  static absl::StatusOr<std::unique_ptr<Agent>> Create(Options options, int terminate_fd);
  ~Agent();

  void Run();

 private:
  struct Connection {
    Descriptor socket;
    FrameReader reader;
    std::string out;
    bool welcome = false;       // Hello was answered
    bool broken = false;        // to be dropped
    bool wants_output = false;  // watched for room
  };

  Agent(Options options, std::unique_ptr<Runner> runner, Descriptor listener, int terminate_fd);

  int WaitMilliseconds() const;
  void Wait();
  void Accept();
  void Read(Connection* connection);
  void HandleMessage(Connection* connection, ToAgent* message);
  void HandleHello(Connection* connection, const Hello& hello);
  void HandleLaunch(wire::Launch* message);
  void HandleCancel(planner::AttemptId attempt, absl::Duration grace);
  void HandleQuestion(planner::AttemptId attempt);
  void HandleLeave(Connection* connection);
  void DropBroken();

  void StartQueued();
  void PrepareNext();
  void CollectEnded();
  void Tell(AttemptUpdate update);  // an end
  void FlushUpdates();
  void Send(Connection* connection);
  void Terminate();
  void TerminateIfForsaken();
  bool IsDone();
  planner::ResourceVector Free() const;
  bool Holds(planner::AttemptId attempt) const;
  size_t held() const { return queued_.size() + consumption_.size() + ended_.size(); }

  Options options_;
  Descriptor state_folder_;
  std::unique_ptr<Runner> runner_;
  Descriptor listener_;
  Descriptor epoll_;
  int terminate_fd_;

  std::vector<std::unique_ptr<Connection>> connections_;
  Connection* current_ = nullptr;  // the one that is served

  planner::ResourceVector total_;
  planner::ResourceVector used_;
  // Waiting attempts in order. One that is not in queued_ any more was cancelled.
  std::deque<executor::Launch> queue_;
  absl::flat_hash_map<uint64_t, absl::Duration> queued_;                // to its cancel grace
  absl::flat_hash_map<uint64_t, planner::ResourceVector> consumption_;  // of what runs
  absl::flat_hash_map<uint64_t, absl::Duration> grace_;                 // of what runs
  absl::flat_hash_map<uint64_t, AttemptUpdate> ended_;                  // and not acknowledged
  std::deque<uint64_t> unsent_;                                         // of ended_
  absl::Time tell_by_;  // how long unsent_ may wait for more to come
  // Starts that are not told yet: most attempts that end at once need no telling of.
  struct Started {
    uint64_t attempt;
    absl::Time time;
  };
  std::deque<Started> started_;
  std::vector<AttemptUpdate> answers_;  // to questions
  std::vector<AttemptUpdate> just_ended_;

  absl::Time idle_since_;
  absl::Time next_folder_check_;
  bool leaving_ = false;
  bool terminating_ = false;
  absl::Time terminate_by_ = absl::InfiniteFuture();
};

}  // namespace kartograph::executor::local

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_AGENT_H_
