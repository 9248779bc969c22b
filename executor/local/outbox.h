// What waits to be sent to the agent.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_OUTBOX_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_OUTBOX_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "executor/local/agent.pb.h"
#include "planner/ids.h"

namespace kartograph::executor::local {

// Frames in the order in which they were put, up to a bound. Beyond it, and while there is no
// connection, cancels and acknowledgements are kept, each attempt once, so that there are no more
// than live attempts, and launches are dropped. What else a message has is small, and passes the
// bound; without a connection it is lost. Thread-compatible.
class Outbox {
 public:
  explicit Outbox(size_t max_bytes) : max_bytes_(max_bytes) {}

  // A connection begins, with what was kept. The socket stays the caller's.
  void Connect(int socket);
  // It has ended: launches that were not sent wholly are dropped. Returns what was not sent, of
  // which the first frame may have been begun.
  std::string Disconnect();
  bool connected() const { return socket_ >= 0; }

  // Sends at once what the socket takes, if nothing else waits. False where the caller of Flush has
  // to wake up: more waits than before it, or something was dropped.
  bool Put(const ToAgent& message);
  // Sends what the socket takes without waiting. A failure shows when reading from the socket.
  void Flush();
  // Whether bytes wait for the socket.
  bool waiting() const { return !out_.empty(); }
  size_t bytes() const { return out_.size(); }
  bool full() const { return out_.size() > max_bytes_; }

  // Launches that never reached the agent, since the last call.
  std::vector<planner::AttemptId> TakeDropped();

 private:
  void Append(const ToAgent& message);
  void AppendKept();
  void Keep(const ToAgent& message);

  const size_t max_bytes_;
  int socket_ = -1;
  std::string out_;              // not sent yet
  uint64_t appended_bytes_ = 0;  // to `out_`, on this connection
  struct Unsent {
    uint64_t end;  // of its frame, in `appended_bytes_`
    planner::AttemptId attempt;
  };
  std::deque<Unsent> unsent_;  // launches in `out_`
  std::vector<planner::AttemptId> dropped_;
  absl::flat_hash_map<uint64_t, int64_t> cancels_;  // kept, to the grace
  absl::flat_hash_set<uint64_t> acknowledged_;      // kept
};

}  // namespace kartograph::executor::local

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_OUTBOX_H_
