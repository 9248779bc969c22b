#include "executor/mesos/framework/agent_directory.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/utf8.h"
#include "executor/mesos/framework/open_offers.h"

namespace kartograph::executor::mesos {

namespace asio = boost::asio;
using kartograph::mesos::MasterCall;
using kartograph::mesos::MasterResponse;
using kartograph::mesos::Resource;

namespace {

// "slave(1)@10.0.0.7:5051"
bool ReadPid(absl::string_view pid, Endpoint* endpoint) {
  const size_t at = pid.find('@');
  const size_t colon = pid.rfind(':');
  uint32_t port = 0;
  if (at == absl::string_view::npos || colon == absl::string_view::npos || colon < at ||
      !absl::SimpleAtoi(pid.substr(colon + 1), &port) || port == 0 || port > 65535) {
    return false;
  }
  absl::string_view host = pid.substr(at + 1, colon - at - 1);
  absl::ConsumePrefix(&host, "[");
  absl::ConsumeSuffix(&host, "]");
  endpoint->host = std::string(host);
  endpoint->port = static_cast<uint16_t>(port);
  endpoint->target = absl::StrCat("/", pid.substr(0, at), "/api/v1");
  return true;
}

std::vector<Resource> ForRole(const google::protobuf::RepeatedPtrField<Resource>& resources,
                              absl::string_view role) {
  std::vector<Resource> usable;
  for (const Resource& resource : resources) {
    const int depth = resource.reservations_size();
    if (depth == 0 || MayUseReservation(role, resource.reservations(depth - 1).role())) {
      usable.push_back(resource);
    }
  }
  return usable;
}

bool IsSame(const AgentCapacity& a, const AgentCapacity& b) {
  return a.agent_name == b.agent_name && a.resources == b.resources &&
         a.for_one_attempt == b.for_one_attempt && a.attributes == b.attributes &&
         a.closed == b.closed;
}

using kartograph::mesos::DrainInfo;

std::string WhyClosed(const MasterResponse::GetAgents::Agent& agent) {
  if (!agent.deactivated()) return "";
  if (agent.drain_info().state() == DrainInfo::DRAINING) return "is being drained by its operator";
  if (agent.drain_info().state() == DrainInfo::DRAINED) return "was drained by its operator";
  return "was deactivated by its operator";
}

}  // namespace

bool MayUseReservation(absl::string_view role, absl::string_view reserved) {
  return role == reserved || absl::StartsWith(role, absl::StrCat(reserved, "/"));
}

bool AgentDirectory::Learn(const kartograph::mesos::Offer& offer, const Endpoint& master) {
  const bool is_new = known_.insert(offer.agent_id().value()).second;
  const kartograph::mesos::Address& address = offer.url().address();
  if (address.port() <= 0 || address.port() > 65535) return is_new;
  Endpoint& endpoint = endpoints_[offer.agent_id().value()];
  endpoint.tls = master.tls || offer.url().scheme() == "https";
  // Certificates have names.
  const bool by_name = address.ip().empty() || (endpoint.tls && !address.hostname().empty());
  endpoint.host = by_name ? address.hostname() : address.ip();
  endpoint.port = static_cast<uint16_t>(address.port());
  endpoint.target = absl::StrCat(offer.url().path(), "/api/v1");
  return is_new;
}

asio::awaitable<AgentDirectory::Response> AgentDirectory::Call(Endpoint master,
                                                               MasterCall::Type type) {
  if (master.host.empty()) co_return absl::UnavailableError("no master is known yet");
  MasterCall call;
  call.set_type(type);
  const std::string name = master.ToString();
  master.target = "/api/v1";
  absl::StatusOr<std::string> answer =
      co_await api_.Post(std::move(master), call.SerializeAsString());
  if (!answer.ok()) co_return answer.status();
  MasterResponse response;
  if (!response.ParseFromString(*answer)) {
    co_return absl::UnavailableError(absl::StrCat(name, " sends an invalid answer"));
  }
  co_return response;
}

asio::awaitable<AgentDirectory::Response> AgentDirectory::Ask(Endpoint master) {
  const bool tls = master.tls;
  Response answer = co_await Call(std::move(master), MasterCall::GET_AGENTS);
  if (!answer.ok()) co_return answer;
  MasterResponse& response = *answer;
  for (const auto& known : response.get_agents().agents()) {
    Endpoint endpoint;
    endpoint.tls = tls;
    if (!ReadPid(known.pid(), &endpoint)) continue;
    if (tls && !known.agent_info().hostname().empty()) {
      endpoint.host = known.agent_info().hostname();
    }
    endpoints_.try_emplace(known.agent_info().id().value(), std::move(endpoint));
  }
  co_return response;
}

asio::awaitable<absl::StatusOr<Endpoint>> AgentDirectory::Find(std::string agent, Endpoint master) {
  if (auto it = endpoints_.find(agent); it != endpoints_.end()) co_return it->second;
  absl::StatusOr<MasterResponse> response = co_await Ask(std::move(master));
  if (!response.ok()) co_return response.status();
  if (auto it = endpoints_.find(agent); it != endpoints_.end()) co_return it->second;
  co_return absl::NotFoundError(
      absl::StrCat("agent ", agent, " is no longer part of the cluster, and its logs are gone"));
}

asio::awaitable<void> AgentDirectory::LearnQuotas(Endpoint master) {
  const Response quota = co_await Call(master, MasterCall::GET_QUOTA);
  MasterResponse::GetQuota limits;
  if (quota.ok()) limits = quota->get_quota();
  quotas_.Set(limits, {});
  if (!quotas_.any()) co_return;
  const Response roles = co_await Call(std::move(master), MasterCall::GET_ROLES);
  // Without what is allocated they say little.
  quotas_.Set(roles.ok() ? limits : MasterResponse::GetQuota(),
              roles.ok() ? roles->get_roles() : MasterResponse::GetRoles());
}

void AgentDirectory::AskWhatTheyHave(Endpoint master, Done done) {
  asio::co_spawn(io_, AskAndTell(std::move(master), std::move(done), true), asio::detached);
}

void AgentDirectory::AskForQuotas(Endpoint master, Done done) {
  asio::co_spawn(io_, AskAndTell(std::move(master), std::move(done), false), asio::detached);
}

asio::awaitable<void> AgentDirectory::AskAndTell(Endpoint master, Done done, bool agents) {
  const int& asked = agents ? asked_ : asked_for_quotas_;
  const int number = agents ? ++asked_ : ++asked_for_quotas_;
  co_await LearnQuotas(master);
  std::vector<AgentCapacity> news;
  if (agents) {
    Response response = co_await Ask(std::move(master));
    if (number != asked) co_return;
    if (!response.ok()) co_return done(response.status());
    news = News(*response);
  }
  if (number != asked) co_return;
  for (AgentCapacity& more : NewsOfQuotas()) news.push_back(std::move(more));
  done(std::move(news));
}

std::vector<AgentCapacity> AgentDirectory::NewsOfQuotas() {
  std::vector<AgentCapacity> news;
  for (auto& [id, known] : reported_) {
    if (!known.closed.empty() && !held_back_.contains(id)) continue;
    const bool offered = options_.is_offered && options_.is_offered(id);
    std::string why =
        offered ? "" : quotas_.WhyHeldBack(ToAgentKey(id, options_.roles).role, wanted_);
    if (why == known.closed) continue;
    if (why.empty()) {
      held_back_.erase(id);
    } else {
      held_back_.insert(id);
    }
    known.closed = std::move(why);
    news.push_back(known);
  }
  return news;
}

void AgentDirectory::OnOffered(const AgentId& agent) {
  if (held_back_.erase(agent) > 0) reported_[agent].closed.clear();
}

std::vector<AgentCapacity> AgentDirectory::News(const MasterResponse& response) {
  std::vector<AgentCapacity> report;
  closed_.clear();
  for (const auto& known : response.get_agents().agents()) {
    const std::string& id = known.agent_info().id().value();
    known_.insert(id);
    if (known.deactivated()) closed_.insert(id);
    if (!known.active() && !known.deactivated()) continue;
    for (const std::string& role : options_.roles) {
      AgentCapacity has;
      has.agent = ToAgentId({id, role}, options_.roles);
      has.agent_name = ValidUtf8(known.agent_info().hostname());
      OfferedResources resources(options_.revocable);
      resources.Add(ForRole(known.total_resources(), role));
      if (options_.executor.FitsIn(resources.available())) {
        has.resources = resources.all();
        has.resources -= options_.executor;
        has.for_one_attempt = resources.available();
        has.for_one_attempt -= options_.executor;
      } else if (!resources.all().empty()) {
        has.closed = absl::StrCat("has ", resources.available().ToString(),
                                  ", which is less than kartograph-executor takes for itself (",
                                  options_.executor.ToString(),
                                  ": --mesos-executor-cpu, --mesos-executor-ram)");
      }
      if (known.deactivated()) has.closed = WhyClosed(known);
      has.attributes = AttributesOf(known.agent_info().attributes(), {id, role});
      AgentCapacity& last = reported_[has.agent];
      // Whether it is held back is looked at afterwards.
      if (has.closed.empty() && held_back_.contains(has.agent)) has.closed = last.closed;
      if (IsSame(has, last)) continue;
      if (has.closed != last.closed) held_back_.erase(has.agent);
      last = has;
      report.push_back(std::move(has));
    }
  }
  return report;
}

void AgentDirectory::Forget(const std::string& agent) {
  ++asked_;
  known_.erase(agent);
  for (const std::string& role : options_.roles) {
    reported_.erase(ToAgentId({agent, role}, options_.roles));
    held_back_.erase(ToAgentId({agent, role}, options_.roles));
  }
}

void AgentDirectory::ForgetAll() {
  Stop();
  known_.clear();
  reported_.clear();
  held_back_.clear();
}

}  // namespace kartograph::executor::mesos
