#include "executor/mesos/executor/testing/fake_agent.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "executor/mesos/record_io.h"

namespace kartograph::executor::mesos {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace v1 = kartograph::mesos;
using asio::ip::tcp;

namespace {

constexpr auto kResult = asio::as_tuple(asio::use_awaitable);

}  // namespace

FakeAgent::FakeAgent(asio::io_context& io)
    : io_(io), acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
  asio::co_spawn(io_, Accept(), asio::detached);
}

uint16_t FakeAgent::port() const { return acceptor_.local_endpoint().port(); }

std::string FakeAgent::address() const { return absl::StrCat("127.0.0.1:", port()); }

std::vector<v1::TaskStatus> FakeAgent::updates(const std::string& task_id) const {
  std::vector<v1::TaskStatus> found;
  for (const v1::TaskStatus& status : updates_) {
    if (status.task_id().value() == task_id) found.push_back(status);
  }
  return found;
}

void FakeAgent::Send(const std::vector<Event>& events) {
  std::string bytes;
  for (const Event& event : events) bytes += EncodeRecord(event.SerializeAsString());
  if (stream_ == nullptr || bytes.empty()) return;
  const std::string chunk = absl::StrCat(absl::Hex(bytes.size()), "\r\n", bytes, "\r\n");
  boost::system::error_code ignored;
  asio::write(*stream_, asio::buffer(chunk), ignored);
}

void FakeAgent::Disconnect() {
  boost::system::error_code ignored;
  for (const auto& socket : sockets_) {
    if (auto open = socket.lock()) open->close(ignored);
  }
  sockets_.clear();
  stream_.reset();
}

asio::awaitable<void> FakeAgent::Accept() {
  while (true) {
    auto [error, socket] = co_await acceptor_.async_accept(kResult);
    if (error) co_return;
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    auto shared = std::make_shared<Socket>(std::move(socket));
    sockets_.push_back(shared);
    asio::co_spawn(io_, Serve(std::move(shared)), asio::detached);
  }
}

asio::awaitable<void> FakeAgent::Serve(std::shared_ptr<Socket> socket) {
  boost::beast::flat_buffer buffer;
  while (true) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    auto [error, bytes] = co_await http::async_read(*socket, buffer, parser, kResult);
    if (error) {
      if (stream_ == socket) stream_.reset();
      co_return;
    }
    const auto& request = parser.get();
    authorization_ = std::string(request[http::field::authorization]);
    Call call;
    unsigned status = 202;
    if (request.target() != "/api/v1/executor" || !call.ParseFromString(request.body())) {
      status = 400;
    } else if (call.type() == Call::SUBSCRIBE) {
      ++tries_;
      status = answer_;
    } else if (call.type() == Call::UPDATE) {
      HandleUpdate(call.update().status());
    } else {
      messages_.push_back(call);
    }
    if (status == 200) {
      HandleSubscribe(socket, call);
      continue;
    }
    const std::string answer =
        absl::StrCat("HTTP/1.1 ", status, " Status\r\nContent-Length: 0\r\n\r\n");
    co_await asio::async_write(*socket, asio::buffer(answer), kResult);
  }
}

void FakeAgent::HandleSubscribe(const std::shared_ptr<Socket>& socket, const Call& call) {
  boost::system::error_code ignored;
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
      "Transfer-Encoding: chunked\r\n\r\n";
  asio::write(*socket, asio::buffer(head), ignored);
  stream_ = socket;
  subscriptions_.push_back(call);
  for (const auto& update : call.subscribe().unacknowledged_updates()) {
    HandleUpdate(update.status());
  }
  std::vector<Event> events = std::exchange(first_, {});
  Event& event = *events.emplace(events.begin());
  event.set_type(Event::SUBSCRIBED);
  *event.mutable_subscribed()->mutable_framework_info() = framework_;
  Send(events);
}

void FakeAgent::HandleUpdate(const v1::TaskStatus& status) {
  updates_.push_back(status);
  if (status.state() != v1::TASK_RUNNING && status.state() != v1::TASK_KILLING) ++ended_;
  if (!acknowledges_) return;
  Event event;
  event.set_type(Event::ACKNOWLEDGED);
  *event.mutable_acknowledged()->mutable_task_id() = status.task_id();
  event.mutable_acknowledged()->set_uuid(status.uuid());
  Send({event});
}

}  // namespace kartograph::executor::mesos
