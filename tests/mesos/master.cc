#include "tests/mesos/master.h"

#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "executor/mesos/protocol/operator.pb.h"
#include "tests/mesos/operator_json.h"
#include "tests/mesos/validation.h"

namespace kartograph::stand_in {
namespace {

constexpr char kProtobuf[] = "application/x-protobuf";
constexpr char kJson[] = "application/json";

std::string NewMasterId() { return UuidText(NewUuid()); }

}  // namespace

std::string JoinKey(const std::string& framework_id, const std::string& id) {
  return absl::StrCat(framework_id, "/", id);
}

Master::Master(Loop& loop, const Settings& settings, Counters& counters)
    : loop_(loop), settings_(settings), counters_(counters) {
  Reset();
}

Master::~Master() = default;

void Master::Reset() {
  id_ = NewMasterId();
  next_framework_ = next_offer_ = 0;
  allocator_ =
      std::make_unique<Allocator>(settings_.allocation_interval, settings_.min_allocatable);
}

AgentContext Master::MakeAgentContext() { return {loop_, settings_, counters_, *this}; }

std::string Master::NewAgentId() { return absl::StrCat(id_, "-S", next_agent_++); }

void Master::AddAgent(std::unique_ptr<Agent> agent) {
  AgentRecord& record = agents_[agent->id()];
  record.agent = agent.get();
  allocator_->AddAgent(agent->id(), agent->total());
  all_agents_.push_back(std::move(agent));
}

void Master::Start() { AllocationRound(); }

Master::AgentRecord* Master::FindAgent(size_t number) {
  if (number >= all_agents_.size()) return nullptr;
  return &agents_.at(all_agents_[number]->id());
}

Master::Framework* Master::FindFramework(const std::string& id) {
  const auto found = frameworks_.find(id);
  return found == frameworks_.end() ? nullptr : &found->second;
}

// --- HTTP ---------------------------------------------------------------------------------------

bool Master::Authenticated(const HttpRequest& request) const {
  if (settings_.user.empty()) return true;
  const std::string expected =
      absl::StrCat("Basic ", absl::Base64Escape(settings_.user + ":" + settings_.password));
  return request.Header("Authorization") == expected;
}

void Master::Refuse(const HttpReplier& reply, const std::string& type, int status,
                    const std::string& message) {
  ++counters_.refused[type];
  HttpHeaders headers = {{"Content-Type", "text/plain; charset=utf-8"}};
  if (status == 401) {
    headers.emplace_back("WWW-Authenticate", "Basic realm=\"mesos-master-scheduler\"");
  }
  if (status == 405) headers.emplace_back("Allow", "POST");
  reply->Reply(status, message, std::move(headers));
}

void Master::OnRequest(const HttpRequest& request, const HttpReplier& reply) {
  const bool scheduler =
      request.path == "/api/v1/scheduler" || request.path == "/master/api/v1/scheduler";
  const bool operators = request.path == "/api/v1" || request.path == "/master/api/v1";
  if ((scheduler || operators) && !Authenticated(request)) {
    return Refuse(reply, "", 401, "");
  }
  if (!faults_.redirect.empty()) {
    const bool bare = request.path == "/redirect" || request.path == "/master/redirect";
    return reply->Reply(
        307, "", {{"Location", absl::StrCat("//", faults_.redirect, bare ? "" : request.target)}});
  }
  if (faults_.no_leader) return Refuse(reply, "", 503, "No leader elected");
  if (scheduler) return OnSchedulerCall(request, reply);
  if (operators) return OnOperatorCall(request, reply);
  const std::string path = absl::StartsWith(request.path, "/master/")
                               ? request.path.substr(strlen("/master"))
                               : request.path;
  if (path == "/redirect") {
    return reply->Reply(307, "", {{"Location", absl::StrCat("//127.0.0.1:", port_)}});
  }
  if (const std::optional<std::string> json = OperatorJson(*this, path)) {
    return reply->Reply(200, *json, {{"Content-Type", kJson}});
  }
  reply->Reply(404, "");
}

void Master::OnOperatorCall(const HttpRequest& request, const HttpReplier& reply) {
  mesos::MasterCall call;
  if (request.method != "POST" || !call.ParseFromString(request.body)) {
    return Refuse(reply, "", 400, "Failed to parse body into Call protobuf");
  }
  mesos::MasterResponse response;
  const auto answer = [&] {
    reply->Reply(200, response.SerializeAsString(), {{"Content-Type", kProtobuf}});
  };
  if (call.type() == mesos::MasterCall::GET_QUOTA) {
    auto* status = response.mutable_get_quota()->mutable_status();
    for (const auto& [role, limits] : allocator_->quotas()) {
      mesos::QuotaConfig* config = status->add_configs();
      config->set_role(role);
      for (const auto& [name, amount] : limits) {
        (*config->mutable_limits())[name].set_value(static_cast<double>(amount) / 1000);
      }
    }
    return answer();
  }
  if (call.type() == mesos::MasterCall::GET_ROLES) {
    for (const auto& [role, limits] : allocator_->quotas()) {
      mesos::Role* told = response.mutable_get_roles()->add_roles();
      told->set_name(role);
      AllocatedTo(role).AppendTo(told->mutable_resources(), role);
    }
    return answer();
  }
  if (call.type() != mesos::MasterCall::GET_AGENTS) return Refuse(reply, "", 501, "");
  if (faults_.hides_agents) return Refuse(reply, "", 403, "");
  for (const auto& [id, record] : agents_) {
    if (record.known != Known::kRegistered) continue;
    auto* agent = response.mutable_get_agents()->add_agents();
    *agent->mutable_agent_info() = record.agent->Info();
    agent->set_active(!record.deactivated);
    agent->set_deactivated(record.deactivated);
    if (record.draining) {
      agent->mutable_drain_info()->set_state(record.tasks.empty() ? mesos::DrainInfo::DRAINED
                                                                  : mesos::DrainInfo::DRAINING);
    }
    *agent->mutable_total_resources() = agent->agent_info().resources();
    agent->set_pid(absl::StrCat("slave(1)@127.0.0.1:", record.agent->port()));
  }
  answer();
}

void Master::OnSchedulerCall(const HttpRequest& request, const HttpReplier& reply) {
  if (faults_.next_status != 0) {
    return Refuse(reply, "", std::exchange(faults_.next_status, 0), faults_.next_message);
  }
  if (request.method != "POST") {
    return Refuse(reply, "", 405,
                  absl::StrCat("Expecting one of { 'POST' }, but received '", request.method, "'"));
  }
  const std::optional<std::string> type = request.Header("Content-Type");
  if (!type) return Refuse(reply, "", 400, "Expecting 'Content-Type' to be present");
  if (*type != kProtobuf) {
    return Refuse(reply, "", 415,
                  absl::StrCat("Expecting 'Content-Type' of ", kJson, " or ", kProtobuf));
  }
  Call call;
  if (!call.ParseFromString(request.body)) {
    return Refuse(reply, "", 400, "Failed to parse body into Call protobuf");
  }
  const std::string name = Call::Type_Name(call.type());
  if (const std::string error = ValidateCall(call); !error.empty()) {
    return Refuse(reply, name, 400, "Failed to validate scheduler::Call: " + error);
  }
  const std::optional<std::string> stream_id = request.Header("Mesos-Stream-Id");
  if (call.type() == Call::SUBSCRIBE) {
    // A master that speaks JSON as well would answer in it if it may, so this must not be open.
    const std::string accept = request.Header("Accept").value_or("*/*");
    if (accept != kProtobuf) {
      return Refuse(reply, name, 406,
                    absl::StrCat("Expecting 'Accept' to allow '", kProtobuf, "' or '", kJson, "'"));
    }
    if (stream_id) {
      return Refuse(reply, name, 400,
                    "Subscribe calls should not include the 'Mesos-Stream-Id' header");
    }
    const mesos::FrameworkInfo& info = call.subscribe().framework_info();
    if (!settings_.user.empty() && info.has_principal() && info.principal() != settings_.user) {
      return Refuse(reply, name, 400,
                    absl::StrCat("Failed to validate scheduler::Call: Authenticated principal '",
                                 settings_.user, "' does not match principal '", info.principal(),
                                 "' set in `FrameworkInfo`"));
    }
    ++counters_.calls[name];
    return Subscribe(call, reply);
  }
  Framework* framework = FindFramework(call.framework_id().value());
  if (framework == nullptr) return Refuse(reply, name, 400, "Framework cannot be found");
  if (framework->stream == nullptr) {
    return Refuse(reply, name, 403, "Framework is not subscribed");
  }
  if (!stream_id) {
    return Refuse(reply, name, 400,
                  "All non-subscribe calls should include the 'Mesos-Stream-Id' header");
  }
  if (*stream_id != framework->stream_id) {
    return Refuse(
        reply, name, 400,
        absl::StrCat("The stream ID '", *stream_id, "' included in this request didn't match the ",
                     "stream ID currently associated with framework ID ", framework->id()));
  }
  if (call.type() == Call::UNKNOWN) return Refuse(reply, name, 501, "");
  ++counters_.calls[name];
  if (call.type() == Call::ACCEPT && std::exchange(faults_.drops_next_accept, false)) {
    return reply->Reply(202);
  }
  if (call.type() == Call::UPDATE_FRAMEWORK) {
    const mesos::FrameworkInfo& info = call.update_framework().framework_info();
    if (const std::string error = ValidateUpdate(framework->info, info); !error.empty()) {
      return Refuse(reply, name, 400, error);
    }
    UpdateFramework(framework, call.update_framework());
    return reply->Reply(200);
  }
  Handle(framework, call);
  reply->Reply(202);
}

// --- Subscriptions ------------------------------------------------------------------------------

void Master::Subscribe(const Call& call, const HttpReplier& reply) {
  mesos::FrameworkInfo info = call.subscribe().framework_info();
  std::string error = ValidateFramework(info);
  if (completed_.count(info.id().value()) > 0) error = "Framework has been removed";
  Framework* framework = FindFramework(info.id().value());
  if (!settings_.user.empty() && !info.has_principal()) info.set_principal(settings_.user);
  if (error.empty() && framework != nullptr) {
    // Changes of these are ignored.
    info.set_user(framework->info.user());
    info.set_checkpoint(framework->info.checkpoint());
    error = ValidateUpdate(framework->info, info);
  }
  if (!error.empty()) {
    reply->BeginStream({{"Content-Type", kProtobuf}, {"Mesos-Stream-Id", UuidText(NewUuid())}},
                       nullptr);
    Event event;
    event.set_type(Event::ERROR);
    event.mutable_error()->set_message(error);
    ++counters_.events["ERROR"];
    reply->SendRecord(event.SerializeAsString());
    reply->EndStream();
    return;
  }
  if (info.id().value().empty()) {
    info.mutable_id()->set_value(absl::StrCat(id_, absl::StrFormat("-%04d", next_framework_++)));
  }
  if (info.roles().empty() && !HasCapability(info, mesos::FrameworkInfo::Capability::MULTI_ROLE)) {
    info.add_roles("*");
  }
  framework = &frameworks_[info.id().value()];
  framework->info = info;
  framework->partition_aware =
      HasCapability(info, mesos::FrameworkInfo::Capability::PARTITION_AWARE);
  const auto& suppressed = call.subscribe().suppressed_roles();
  allocator_->SetFramework(info, {suppressed.begin(), suppressed.end()});
  Connect(framework, reply);
  for (auto& [id, record] : agents_) {
    if (record.known == Known::kRegistered) {
      Post(record.agent, [info](Agent* agent) { agent->UpdateFramework(info); });
    }
  }
  Allocate();
}

void Master::Connect(Framework* framework, const HttpReplier& reply) {
  if (const HttpReplier former = std::exchange(framework->stream, nullptr)) {
    Event event;
    event.set_type(Event::ERROR);
    event.mutable_error()->set_message("Framework failed over");
    ++counters_.events["ERROR"];
    former->SendRecord(event.SerializeAsString());
    former->EndStream();
  }
  allocator_->SetFrameworkActive(framework->id(), false);
  std::vector<std::string> offers;
  for (const auto& [id, offer] : offers_) {
    if (offer.framework_id == framework->id()) offers.push_back(id);
  }
  for (const std::string& offer : offers) RemoveOffer(offer, /*rescind=*/false);

  framework->stream = reply;
  framework->stream_id = UuidText(NewUuid());
  framework->silent = false;
  framework->connection = ++next_connection_;
  reply->set_byte_chunks(faults_.byte_chunks);
  reply->BeginStream({{"Content-Type", kProtobuf}, {"Mesos-Stream-Id", framework->stream_id}},
                     [this, id = framework->id(), connection = framework->connection] {
                       OnDisconnected(id, connection);
                     });
  Event event;
  event.set_type(Event::SUBSCRIBED);
  Event::Subscribed* subscribed = event.mutable_subscribed();
  subscribed->mutable_framework_id()->set_value(framework->id());
  subscribed->set_heartbeat_interval_seconds(absl::ToDoubleSeconds(settings_.heartbeat_interval));
  mesos::MasterInfo* info = subscribed->mutable_master_info();
  info->set_id(id_);
  info->set_ip(0x0100007f);
  info->set_port(static_cast<uint32_t>(port_));
  info->set_hostname("localhost");
  info->set_version("1.11.0");
  info->set_pid(absl::StrCat("master@127.0.0.1:", port_));
  info->mutable_address()->set_hostname("localhost");
  info->mutable_address()->set_ip("127.0.0.1");
  info->mutable_address()->set_port(port_);
  Send(framework, event);
  Heartbeat(framework->id(), framework->connection);
  allocator_->SetFrameworkActive(framework->id(), true);
}

void Master::Heartbeat(const std::string& framework_id, uint64_t connection) {
  Framework* framework = FindFramework(framework_id);
  if (framework == nullptr || framework->connection != connection || !framework->stream) return;
  Event event;
  event.set_type(Event::HEARTBEAT);
  Send(framework, event);
  loop_.After(settings_.heartbeat_interval,
              [this, framework_id, connection] { Heartbeat(framework_id, connection); });
}

void Master::OnDisconnected(const std::string& framework_id, uint64_t connection) {
  Framework* framework = FindFramework(framework_id);
  if (framework == nullptr || framework->connection != connection) return;
  framework->stream = nullptr;
  allocator_->SetFrameworkActive(framework_id, false);
  std::vector<std::string> offers;
  for (const auto& [id, offer] : offers_) {
    if (offer.framework_id == framework_id) offers.push_back(id);
  }
  for (const std::string& offer : offers) RemoveOffer(offer, /*rescind=*/false);
  loop_.After(absl::Seconds(framework->info.failover_timeout()), [this, framework_id, connection] {
    Framework* framework = FindFramework(framework_id);
    if (framework != nullptr && framework->connection == connection &&
        framework->stream == nullptr) {
      RemoveFramework(framework_id);
    }
  });
}

void Master::RemoveFramework(const std::string& framework_id) {
  Framework* framework = FindFramework(framework_id);
  if (framework == nullptr) return;
  allocator_->SetFrameworkActive(framework_id, false);
  std::vector<std::string> offers;
  for (const auto& [id, offer] : offers_) {
    if (offer.framework_id == framework_id) offers.push_back(id);
  }
  for (const std::string& offer : offers) RemoveOffer(offer, /*rescind=*/false);
  std::vector<std::shared_ptr<Task>> tasks;
  for (const auto& [id, task] : framework->tasks) tasks.push_back(task);
  for (const std::shared_ptr<Task>& task : tasks) RemoveTask(task);
  for (auto& [id, record] : agents_) {
    std::vector<std::string> keys;
    for (const auto& [key, executor] : record.executors) {
      if (executor.framework_id().value() == framework_id) keys.push_back(key);
    }
    for (const std::string& key : keys) RemoveExecutor(&record, key);
    if (record.known == Known::kRegistered) {
      Post(record.agent, [framework_id](Agent* agent) { agent->ShutdownFramework(framework_id); });
    }
  }
  if (framework->stream) framework->stream->EndStream();
  allocator_->RemoveFramework(framework_id);
  completed_.insert(framework_id);
  frameworks_.erase(framework_id);
}

void Master::Send(Framework* framework, const Event& event) {
  if (!framework->stream || framework->silent || faults_.silent) return;
  ++counters_.events[Event::Type_Name(event.type())];
  if (std::exchange(faults_.cuts_next_event, false)) {
    const HttpReplier stream = framework->stream;
    stream->SendHalfRecord(event.SerializeAsString());
    // Not now: the caller is in the middle of something.
    loop_.Post([this, id = framework->id(), connection = framework->connection] {
      OnDisconnected(id, connection);
    });
    return;
  }
  framework->stream->SendRecord(event.SerializeAsString());
}

}  // namespace kartograph::stand_in
