// A framework that sends what it is told and knows nothing: for tests of the stand-in.
#ifndef KARTOGRAPH_TESTS_MESOS_RAW_CLIENT_H_
#define KARTOGRAPH_TESTS_MESOS_RAW_CLIENT_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "executor/mesos/protocol/scheduler.pb.h"
#include "executor/mesos/record_io.h"

namespace kartograph::stand_in {

// One HTTP exchange at a time, and blocking, with a deadline. Thread-compatible.
class RawConnection {
 public:
  struct Answer {
    int status = 0;                              // 0: there was none
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
  };
  explicit RawConnection(int port);
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // The whole answer, or, of a stream, its head.
  Answer Exchange(const std::string& method, const std::string& target,
                  const std::map<std::string, std::string>& headers, const std::string& body);
  // More of a stream's body; nothing at its end or after the deadline.
  std::string ReadStream(absl::Duration timeout);
  // The stream has ended, well (with its last chunk) or not.
  bool ended() const { return ended_; }
  bool ended_well() const { return ended_well_; }

 private:
  bool Fill(absl::Time deadline);
  bool ReadLine(std::string* line, absl::Time deadline);

  int socket_ = -1;
  std::string buffer_;
  bool chunked_ = false;
  bool ended_ = false, ended_well_ = false;
};

class RawClient {
 public:
  using Call = mesos::scheduler::Call;
  using Event = mesos::scheduler::Event;

  explicit RawClient(int port) : port_(port) {}

  static mesos::FrameworkInfo Info();

  // Opens a stream; the status of the answer. SUBSCRIBED is waited for where it is 200.
  int Subscribe(const mesos::FrameworkInfo& info);
  // The status of the answer; of another connection than the stream's.
  int Send(Call call);
  const RawConnection::Answer& answer() const { return answer_; }
  RawConnection::Answer Post(const std::string& body, std::map<std::string, std::string> headers);

  // The next event of a type, others wait; nothing after the deadline.
  std::optional<Event> Next(Event::Type type, absl::Duration timeout = absl::Seconds(30));
  // The next update of a task.
  std::optional<mesos::TaskStatus> NextUpdate(const std::string& task_id,
                                              absl::Duration timeout = absl::Seconds(30));
  // The next offer of those that have come.
  std::optional<mesos::Offer> NextOffer(absl::Duration timeout = absl::Seconds(30));

  int Accept(const mesos::Offer& offer, const std::vector<mesos::TaskInfo>& tasks,
             double refuse_seconds = 0);
  int Decline(const mesos::Offer& offer, double refuse_seconds);
  int Acknowledge(const mesos::TaskStatus& status);
  int Reconcile(const std::string& task_id, const std::string& agent_id);
  int Simple(Call::Type type);

  const std::string& id() const { return info_.id().value(); }
  const mesos::FrameworkInfo& info() const { return info_; }
  std::string stream_id;
  RawConnection* stream() { return stream_.get(); }
  // Reads what is there; false once the stream has ended and nothing is left.
  bool Pump(absl::Duration timeout);

 private:
  std::optional<Event> NextMatching(const std::function<bool(const Event&)>& matches,
                                    absl::Duration timeout);

  const int port_;
  mesos::FrameworkInfo info_;
  std::unique_ptr<RawConnection> stream_;
  std::unique_ptr<RawConnection> calls_;
  std::optional<executor::mesos::RecordReader> reader_;
  std::deque<Event> events_;
  std::deque<mesos::Offer> offers_;
  RawConnection::Answer answer_;
};

// A task with these, of the offer's agent.
mesos::TaskInfo MakeTask(const mesos::Offer& offer, const std::string& id, double cpus, double mem);
mesos::Resource Scalar(const std::string& name, double value);

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_RAW_CLIENT_H_
