// The local cluster's agent as kartographd sees it: a socket in the state folder.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_AGENT_SERVER_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_AGENT_SERVER_H_

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "executor/agent/agent.h"
#include "executor/agent/runner_processes.h"
#include "executor/agent/session_record.h"
#include "executor/local/agent.pb.h"
#include "executor/local/protocol.h"
#include "executor/wire/attempt.h"

namespace kartograph::executor::local {

// Owns the attempts of one state folder, so that kartographd may come and go. Serves one connection
// at a time: the last that said hello. Ends its attempts when the state folder is deleted, as
// nobody can ask for them any more. Bound to the thread that runs the io_context.
class AgentServer {
 public:
  struct Options {
    std::string state_dir;  // absolute
    // With no connection and no attempts for this long, it is done. Infinite: it stays until it is
    // terminated, or asked to leave.
    absl::Duration idle_exit = absl::Minutes(1);
    // As in executor/memory_limits.h.
    std::string memory_limits;
    // May be null; outlive the server.
    CgroupPool* cgroups = nullptr;
    SessionRecord* sessions = nullptr;
    // The agent before it was killed, and its attempts with it.
    bool follows_killed = false;
  };
  // Listens when it returns. `done` is called once, and must not destroy the server.
  static absl::StatusOr<std::unique_ptr<AgentServer>> Create(boost::asio::io_context& io,
                                                             Options options,
                                                             std::function<void()> done);
  // Kills what still runs.
  ~AgentServer();
  AgentServer(const AgentServer&) = delete;
  AgentServer& operator=(const AgentServer&) = delete;

  // Ends all attempts; done when that is reported, or nobody listens.
  void Terminate();

 private:
  using StreamDescriptor = boost::asio::posix::stream_descriptor;

  struct Connection {
    explicit Connection(boost::asio::io_context& io) : socket(io) {}
    StreamDescriptor socket;
    FrameReader reader;
    std::string out;
    bool broken = false;        // to be dropped
    bool wants_output = false;  // waits for room
  };
  using ConnectionPtr = std::shared_ptr<Connection>;

  AgentServer(boost::asio::io_context& io, Options options, std::function<void()> done,
              std::unique_ptr<RunnerProcesses> processes);

  // The socket.
  absl::Status OpenSocket();
  void AwaitConnection();
  void Accept();
  void AwaitInput(const ConnectionPtr& connection);
  void Read(const ConnectionPtr& connection);
  void Send(const ConnectionPtr& connection);
  void DropBroken();
  void CheckFolder();
  // Whether the state folder is no longer where its path says. Sandboxes are found by that path,
  // and running tasks have been given it.
  bool FolderWasMoved() const;
  // Ends what was begun at the old place, so that the service starts an agent for the new one.
  void LeaveMovedFolder();

  void HandleMessage(const ConnectionPtr& connection, ToAgent* message);
  void HandleHello(const ConnectionPtr& connection, const Hello& hello);
  void HandleIndexed(const ConnectionPtr& connection, const IndexedResources& indexed);
  void HandleLaunch(wire::Launch* message);
  void HandleLeave(const ConnectionPtr& connection);
  void SendReports();

  // What is due. After whatever happens there is a turn, which does all that follows from it.
  void AwaitEndedProcesses();
  void ScheduleTurn();
  void Turn();
  void ArmTimer(SteadyTime now);
  bool IsDone(SteadyTime now) const;

  boost::asio::io_context& io_;
  const Options options_;
  const std::function<void()> done_;
  const Clock& clock_ = Clock::System();
  const std::unique_ptr<RunnerProcesses> processes_;
  Agent agent_;
  Descriptor state_folder_;
  dev_t socket_device_ = 0;  // of the socket's name in the folder
  ino_t socket_inode_ = 0;
  StreamDescriptor listener_;
  StreamDescriptor ended_processes_;  // the runner's
  boost::asio::steady_timer timer_;
  SteadyTime armed_for_ = SteadyTime::InfiniteFuture();
  bool turn_scheduled_ = false;

  std::vector<ConnectionPtr> connections_;
  ConnectionPtr current_;  // the one that is served

  SteadyTime next_folder_check_;
  bool leaving_ = false;
  bool is_done_ = false;
  SteadyTime flush_by_ = SteadyTime::InfiniteFuture();  // when draining
};

}  // namespace kartograph::executor::local

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_AGENT_SERVER_H_
