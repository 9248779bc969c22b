// Keeps a framework subscribed: finds the leading master, opens a session, watches its heartbeats,
// and starts over when it ends.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_SUBSCRIPTION_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_SUBSCRIPTION_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "executor/mesos/api_session.h"
#include "executor/mesos/framework/master_finder.h"
#include "executor/mesos/protocol/scheduler.pb.h"

namespace kartograph::executor::mesos {

// Bound to the io_context's thread.
class Subscription {
 public:
  struct Options {
    std::string authorization;  // as in ApiSession
    // Where there is one, it is asked for the header before each connection instead: a secret may
    // be changed while we run. Must not block for long.
    std::function<std::string()> renew_authorization;
    boost::asio::ssl::context* tls_context = nullptr;  // as in ApiSession
    absl::Duration first_back_off = absl::Milliseconds(100);
    absl::Duration longest_back_off = absl::Seconds(15);
    // Where the master does not announce its heartbeat interval.
    absl::Duration heartbeat = absl::Seconds(15);
  };
  struct Handlers {
    // The SUBSCRIBE of the next try.
    std::function<kartograph::mesos::scheduler::Call()> subscribe;
    // Every event but heartbeats; the first of a session is SUBSCRIBED.
    std::function<void(const kartograph::mesos::scheduler::Event&)> on_event;
    // A session has ended or could not be opened; why, for people. The next try follows by itself.
    std::function<void(const std::string& reason)> on_lost;
  };
  Subscription(boost::asio::io_context& io, Options options, Handlers handlers);
  ~Subscription();

  // Begins; `finder` finds the masters.
  void Start(std::unique_ptr<MasterFinder> finder);
  // Another master leads, or one was found: it is tried at once.
  void OnLeaderChanged();
  // Ends the session and tries again, after a back-off.
  void Restart(const std::string& reason);
  // For good.
  void Stop();

  bool subscribed() const { return subscribed_; }
  // The master of this session, "http://host:port"; empty while there is none.
  const std::string& master() const { return master_; }
  const Endpoint& endpoint() const { return endpoint_; }
  // Only while subscribed; otherwise nothing happens. `done` as in ApiSession::Call, and not called
  // when the session ends first.
  void Call(const kartograph::mesos::scheduler::Call& call,
            std::function<void(const absl::Status&)> done = nullptr);

 private:
  void Try();
  void Open(Endpoint endpoint);
  void OnRecord(absl::string_view record);
  void OnEnd(const SessionEnd& end);
  void Lost(const std::string& reason, bool at_once);
  void WatchHeart();

  boost::asio::io_context& io_;
  const Options options_;
  const Handlers handlers_;
  std::unique_ptr<MasterFinder> finder_;
  std::unique_ptr<ApiSession> session_;
  boost::asio::steady_timer retry_;
  boost::asio::steady_timer heartbeat_timer_;
  std::minstd_rand random_;
  Endpoint endpoint_;
  std::string master_;
  absl::Duration back_off_;
  absl::Duration heartbeat_;
  kartograph::mesos::scheduler::Event event_;  // being handled; keeps its memory for the next
  int silent_heartbeats_ = 0;                  // whole intervals without a record
  int hops_ = 0;                               // redirections since the last try of our own
  bool subscribed_ = false;
  bool stopped_ = false;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_SUBSCRIPTION_H_
