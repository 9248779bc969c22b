// A Mesos agent as an executor sees it: its v1 executor API, over HTTP, in the process of a test.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_TESTING_FAKE_AGENT_H_
#define KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_TESTING_FAKE_AGENT_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "executor/mesos/protocol/executor.pb.h"

namespace kartograph::executor::mesos {

// Bound to the thread that runs the io_context. Keeps all it receives, for the test to inspect.
class FakeAgent {
 public:
  using Call = kartograph::mesos::executor::Call;
  using Event = kartograph::mesos::executor::Event;

  // Listens on a port of its own, of 127.0.0.1.
  explicit FakeAgent(boost::asio::io_context& io);
  ~FakeAgent() { Disconnect(); }

  std::string address() const;  // "127.0.0.1:port"
  uint16_t port() const;

  // On the newest subscription. Many at once arrive together.
  void Send(const std::vector<Event>& events);
  // What the next subscription is sent with its first event.
  void SendAtFirst(std::vector<Event> events) { first_ = std::move(events); }
  // Ends all connections.
  void Disconnect();
  // While it is not 200, SUBSCRIBE is answered with this status.
  void set_answer(unsigned status) { answer_ = status; }
  // Whether updates are acknowledged; true at first.
  void set_acknowledges(bool acknowledges) { acknowledges_ = acknowledges; }
  // What the next subscriptions are sent of the framework.
  kartograph::mesos::FrameworkInfo& framework() { return framework_; }

  bool connected() const { return stream_ != nullptr; }
  int tries() const { return tries_; }
  const std::vector<Call>& subscriptions() const { return subscriptions_; }  // accepted ones
  const std::vector<Call>& messages() const { return messages_; }
  const std::string& authorization() const { return authorization_; }  // of the last request
  // Tasks whose end it has received, repeated ones included.
  uint32_t ended() const { return ended_; }
  // In order, the repeated ones of later subscriptions first to last; those of one task.
  std::vector<kartograph::mesos::TaskStatus> updates(const std::string& task_id) const;

 private:
  using Socket = boost::asio::ip::tcp::socket;

  boost::asio::awaitable<void> Accept();
  boost::asio::awaitable<void> Serve(std::shared_ptr<Socket> socket);
  void HandleSubscribe(const std::shared_ptr<Socket>& socket, const Call& call);
  void HandleUpdate(const kartograph::mesos::TaskStatus& status);

  boost::asio::io_context& io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::vector<std::weak_ptr<Socket>> sockets_;
  std::shared_ptr<Socket> stream_;  // of the subscription
  unsigned answer_ = 200;
  bool acknowledges_ = true;
  std::vector<Event> first_;
  int tries_ = 0;
  uint32_t ended_ = 0;
  kartograph::mesos::FrameworkInfo framework_;
  std::vector<Call> subscriptions_;
  std::vector<Call> messages_;
  std::vector<kartograph::mesos::TaskStatus> updates_;
  std::string authorization_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_TESTING_FAKE_AGENT_H_
