#include "tests/mesos/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace kartograph::stand_in {
namespace {

constexpr char kProtobuf[] = "application/x-protobuf";
constexpr absl::Duration kPatience = absl::Seconds(30);

}  // namespace

RawConnection::RawConnection(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) ended_ = true;
}

RawConnection::~RawConnection() { close(socket_); }

bool RawConnection::Fill(absl::Time deadline) {
  pollfd polled{socket_, POLLIN, 0};
  const int64_t left = std::max<int64_t>(
      0, absl::ToInt64Milliseconds(absl::Ceil(deadline - absl::Now(), absl::Milliseconds(1))));
  if (ended_ || poll(&polled, 1, static_cast<int>(left)) <= 0) return false;
  char bytes[65536];
  const ssize_t count = recv(socket_, bytes, sizeof(bytes), 0);
  if (count <= 0) {
    ended_ = true;
    return false;
  }
  buffer_.append(bytes, static_cast<size_t>(count));
  return true;
}

bool RawConnection::ReadLine(std::string* line, absl::Time deadline) {
  size_t end = 0;
  while ((end = buffer_.find("\r\n")) == buffer_.npos) {
    if (!Fill(deadline)) return false;
  }
  *line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return true;
}

RawConnection::Answer RawConnection::Exchange(const std::string& method, const std::string& target,
                                              const std::map<std::string, std::string>& headers,
                                              const std::string& body) {
  std::string request = absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: stand-in\r\n");
  for (const auto& [name, value] : headers) absl::StrAppend(&request, name, ": ", value, "\r\n");
  absl::StrAppend(&request, "Content-Length: ", body.size(), "\r\n\r\n", body);
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t count = send(socket_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return {};
    sent += static_cast<size_t>(count);
  }
  const absl::Time deadline = absl::Now() + kPatience;
  Answer answer;
  std::string line;
  if (!ReadLine(&line, deadline) || line.size() < 12) return {};
  if (!absl::SimpleAtoi(line.substr(9, 3), &answer.status)) return {};
  while (ReadLine(&line, deadline) && !line.empty()) {
    const size_t colon = line.find(':');
    answer.headers[absl::AsciiStrToLower(line.substr(0, colon))] =
        std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
  }
  chunked_ = answer.headers["transfer-encoding"] == "chunked";
  size_t length = 0;
  if (chunked_ || !absl::SimpleAtoi(answer.headers["content-length"], &length)) return answer;
  while (buffer_.size() < length && Fill(deadline)) {
  }
  answer.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return answer;
}

std::string RawConnection::ReadStream(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    // A whole chunk: its length, a line's end, that many bytes, a line's end.
    const size_t end = buffer_.find("\r\n");
    size_t length = 0;
    if (end != buffer_.npos && absl::SimpleHexAtoi(buffer_.substr(0, end), &length) &&
        buffer_.size() >= end + 2 + length + 2) {
      const std::string chunk = buffer_.substr(end + 2, length);
      buffer_.erase(0, end + 2 + length + 2);
      if (length > 0) return chunk;
      ended_ = ended_well_ = true;
      return "";
    }
    if (!Fill(deadline)) return "";
  }
}

mesos::FrameworkInfo RawClient::Info() {
  mesos::FrameworkInfo info;
  info.set_user("nobody");
  info.set_name("a test");
  info.set_failover_timeout(3600);
  info.set_checkpoint(true);
  // As a string: of the literal GCC 12 warns without reason (-Wrestrict).
  info.add_roles(std::string("*"));
  info.add_capabilities()->set_type(mesos::FrameworkInfo::Capability::MULTI_ROLE);
  info.add_capabilities()->set_type(mesos::FrameworkInfo::Capability::PARTITION_AWARE);
  return info;
}

int RawClient::Subscribe(const mesos::FrameworkInfo& info) {
  info_ = info;
  Call call;
  call.set_type(Call::SUBSCRIBE);
  *call.mutable_subscribe()->mutable_framework_info() = info;
  if (info.has_id()) *call.mutable_framework_id() = info.id();
  stream_ = std::make_unique<RawConnection>(port_);
  reader_.emplace();
  events_.clear();
  offers_.clear();
  answer_ = stream_->Exchange("POST", "/api/v1/scheduler",
                              {{"Content-Type", kProtobuf}, {"Accept", kProtobuf}},
                              call.SerializeAsString());
  stream_id = answer_.headers["mesos-stream-id"];
  if (answer_.status == 200) {
    if (const auto event = Next(Event::SUBSCRIBED)) {
      *info_.mutable_id() = event->subscribed().framework_id();
    }
  }
  return answer_.status;
}

RawConnection::Answer RawClient::Post(const std::string& body,
                                      std::map<std::string, std::string> headers) {
  if (!calls_) calls_ = std::make_unique<RawConnection>(port_);
  answer_ = calls_->Exchange("POST", "/api/v1/scheduler", headers, body);
  // An answer that closes leaves an unusable connection.
  if (answer_.status == 0) calls_ = nullptr;
  return answer_;
}

int RawClient::Send(Call call) {
  if (!call.has_framework_id()) *call.mutable_framework_id() = info_.id();
  std::map<std::string, std::string> headers = {{"Content-Type", kProtobuf}, {"Accept", kProtobuf}};
  if (!stream_id.empty()) headers["Mesos-Stream-Id"] = stream_id;
  return Post(call.SerializeAsString(), headers).status;
}

bool RawClient::Pump(absl::Duration timeout) {
  const std::string bytes = stream_->ReadStream(timeout);
  if (bytes.empty()) return !stream_->ended();
  reader_->Append(bytes);
  std::string record;
  while (reader_->Next(&record).value_or(false)) events_.emplace_back().ParseFromString(record);
  return true;
}

std::optional<RawClient::Event> RawClient::NextMatching(
    const std::function<bool(const Event&)>& matches, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  size_t seen = 0;
  while (true) {
    for (; seen < events_.size(); ++seen) {
      if (!matches(events_[seen])) continue;
      Event event = events_[seen];
      events_.erase(events_.begin() + static_cast<std::ptrdiff_t>(seen));
      return event;
    }
    if (absl::Now() >= deadline || !Pump(deadline - absl::Now())) return std::nullopt;
  }
}

std::optional<RawClient::Event> RawClient::Next(Event::Type type, absl::Duration timeout) {
  return NextMatching([&](const Event& event) { return event.type() == type; }, timeout);
}

std::optional<mesos::TaskStatus> RawClient::NextUpdate(const std::string& task_id,
                                                       absl::Duration timeout) {
  const auto event = NextMatching(
      [&](const Event& event) {
        return event.type() == Event::UPDATE &&
               event.update().status().task_id().value() == task_id;
      },
      timeout);
  if (!event) return std::nullopt;
  return event->update().status();
}

std::optional<mesos::Offer> RawClient::NextOffer(absl::Duration timeout) {
  if (offers_.empty()) {
    const auto event = Next(Event::OFFERS, timeout);
    if (!event) return std::nullopt;
    for (const mesos::Offer& offer : event->offers().offers()) offers_.push_back(offer);
  }
  mesos::Offer offer = offers_.front();
  offers_.pop_front();
  return offer;
}

int RawClient::Accept(const mesos::Offer& offer, const std::vector<mesos::TaskInfo>& tasks,
                      double refuse_seconds) {
  Call call;
  call.set_type(Call::ACCEPT);
  *call.mutable_accept()->add_offer_ids() = offer.id();
  mesos::Offer::Operation* operation = call.mutable_accept()->add_operations();
  operation->set_type(mesos::Offer::Operation::LAUNCH);
  for (const mesos::TaskInfo& task : tasks) *operation->mutable_launch()->add_task_infos() = task;
  call.mutable_accept()->mutable_filters()->set_refuse_seconds(refuse_seconds);
  return Send(call);
}

int RawClient::Decline(const mesos::Offer& offer, double refuse_seconds) {
  Call call;
  call.set_type(Call::DECLINE);
  *call.mutable_decline()->add_offer_ids() = offer.id();
  call.mutable_decline()->mutable_filters()->set_refuse_seconds(refuse_seconds);
  return Send(call);
}

int RawClient::Acknowledge(const mesos::TaskStatus& status) {
  Call call;
  call.set_type(Call::ACKNOWLEDGE);
  *call.mutable_acknowledge()->mutable_agent_id() = status.agent_id();
  *call.mutable_acknowledge()->mutable_task_id() = status.task_id();
  call.mutable_acknowledge()->set_uuid(status.uuid());
  return Send(call);
}

int RawClient::Reconcile(const std::string& task_id, const std::string& agent_id) {
  Call call;
  call.set_type(Call::RECONCILE);
  call.mutable_reconcile();
  if (!task_id.empty()) {
    Call::Reconcile::Task* task = call.mutable_reconcile()->add_tasks();
    task->mutable_task_id()->set_value(task_id);
    if (!agent_id.empty()) task->mutable_agent_id()->set_value(agent_id);
  }
  return Send(call);
}

int RawClient::Simple(Call::Type type) {
  Call call;
  call.set_type(type);
  return Send(call);
}

mesos::Resource Scalar(const std::string& name, double value) {
  mesos::Resource resource;
  resource.set_name(name);
  resource.set_type(mesos::Value::SCALAR);
  resource.mutable_scalar()->set_value(value);
  return resource;
}

mesos::TaskInfo MakeTask(const mesos::Offer& offer, const std::string& id, double cpus,
                         double mem) {
  mesos::TaskInfo task;
  task.set_name(id);
  task.mutable_task_id()->set_value(id);
  *task.mutable_agent_id() = offer.agent_id();
  *task.add_resources() = Scalar("cpus", cpus);
  *task.add_resources() = Scalar("mem", mem);
  task.mutable_command()->set_value("true");
  return task;
}

}  // namespace kartograph::stand_in
