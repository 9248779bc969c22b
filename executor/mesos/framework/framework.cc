// The connection, identity and offers. framework_tasks.cc has the attempts.
#include "executor/mesos/framework/framework.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "executor/mesos/framework/blob_parts.h"
#include "executor/mesos/protocol/framework_message.pb.h"
#include "executor/wire/attempt.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::FrameworkInfo;

namespace {

constexpr char kUnknown[] = "unknown";
// With more distinct consumptions than this, offers are not filtered.
constexpr size_t kMaxFilters = 32;
// An inverse offer for an agent where attempts of ours run comes again after this long.
constexpr double kInverseRefusalSeconds = 60;
// From when an agent has come or gone until all agents are asked for again.
constexpr absl::Duration kChangedAgentsDelay = absl::Seconds(1);
// Of blobs that one message of an executor asks for; more are asked for again.
constexpr int kMaxBlobRequests = 8;
// Agents with gpus are offered only to frameworks with the capability for them.
constexpr char kGpus[] = "gpus";

std::string RandomSuffix() {
  std::random_device random;
  return absl::StrFormat("%08x", random());
}

Executors::Options WithUser(const FrameworkOptions& options) {
  Executors::Options executors = options.executors;
  executors.user = options.user;
  return executors;
}

OfferedResources::Revocable RevocableOf(const FrameworkOptions& options) {
  return options.revocable ? OfferedResources::Revocable::kUsed
                           : OfferedResources::Revocable::kIgnored;
}

}  // namespace

Framework::Framework(boost::asio::io_context& io, FrameworkOptions options, Listener listener)
    : io_(io),
      options_(std::move(options)),
      listener_(std::move(listener)),
      id_file_(options_.id_file),
      executors_(WithUser(options_), RandomSuffix),
      offers_({options_.roles, RevocableOf(options_), options_.clock}, &executors_),
      subscription_(io, options_.subscription,
                    {[this] { return Subscribe(); }, [this](const Event& event) { OnEvent(event); },
                     [this](const std::string& reason) { OnLost(reason); }}),
      operator_api_(io,
                    {options_.subscription.authorization, options_.subscription.renew_authorization,
                     options_.subscription.tls_context}),
      agents_(io, &operator_api_,
              {options_.roles, RevocableOf(options_), options_.executors.resources,
               [this](const AgentId& agent) { return offers_.Has(agent); }}),
      files_(io, &operator_api_, &agents_),
      to_kill_(options_.repeat),
      to_reconcile_(options_.repeat),
      due_(io),
      values_(options_.values) {}

absl::Status Framework::Prepare() {
  absl::StatusOr<StoredFrameworkId> stored = id_file_.Read();
  if (!stored.ok()) return stored.status();
  id_ = *std::move(stored);
  if (options_.abandon.empty()) return CheckRegistration();
  if (id_.id.empty()) {
    // Its tasks cannot be ended from here: whoever gives it up says so.
    abandoned_ = options_.abandon == kUnknown;
  } else if (options_.abandon == id_.id) {
    abandoning_ = true;
  } else {
    spdlog::info("mesos: framework {} is not the one to be abandoned ({}), so it is kept", id_.id,
                 options_.abandon);
    return CheckRegistration();
  }
  return absl::OkStatus();
}

StoredFrameworkId::Registration Framework::Registration() const {
  return {options_.user, options_.principal, options_.checkpoint};
}

absl::Status Framework::CheckRegistration() const {
  if (id_.id.empty() || !id_.registration) return absl::OkStatus();
  const StoredFrameworkId::Registration& as = *id_.registration;
  const auto refuse = [this](absl::string_view setting, absl::string_view was) {
    return absl::FailedPreconditionError(
        absl::StrCat(setting, ": framework ", id_.id, " was registered ", was,
                     ", and Mesos does not let a framework change that: set it back, or start with "
                     "--mesos-abandon ",
                     id_.id, ", which ends its tasks and goes on as a new framework"));
  };
  if (as.checkpoint != options_.checkpoint) {
    return refuse("--mesos-checkpoint", as.checkpoint ? "with true" : "with false");
  }
  if (as.principal != options_.principal) {
    return refuse("--mesos-principal", as.principal.empty()
                                           ? "without a principal"
                                           : absl::StrCat("with principal ", as.principal));
  }
  if (as.user != options_.user) {
    spdlog::info(
        "mesos: tasks that are launched from now on run as {}; those that run already go on as "
        "they "
        "were launched, and Mesos's pages show {} for the framework",
        options_.user, as.user);
  }
  return absl::OkStatus();
}

void Framework::Start(std::unique_ptr<MasterFinder> finder) {
  subscription_.Start(std::move(finder));
}

void Framework::Stop() {
  stopped_ = true;
  subscription_.Stop();
  files_.Stop();
  agents_.Stop();
  due_.cancel();
}

// --- what we are ---

Framework::Call Framework::MakeCall(Call::Type type) const {
  Call call;
  call.set_type(type);
  call.mutable_framework_id()->set_value(id_.id);
  return call;
}

FrameworkInfo Framework::Describe() const {
  using Capability = FrameworkInfo::Capability;
  FrameworkInfo info;
  info.set_name(options_.name);
  // None of these can be changed later. What is launched names its user.
  const StoredFrameworkId::Registration as = id_.registration.value_or(Registration());
  info.set_user(as.user);
  if (!id_.id.empty()) info.mutable_id()->set_value(id_.id);
  // A framework that has nothing to lose yet is not to outlive us: should its id not be stored, no
  // one would ever come back for it.
  const bool keep = !id_.id.empty();
  info.set_failover_timeout(keep ? absl::ToDoubleSeconds(options_.failover_timeout) : 0);
  info.set_checkpoint(as.checkpoint);
  if (!options_.hostname.empty()) info.set_hostname(options_.hostname);
  if (!as.principal.empty()) info.set_principal(as.principal);
  if (!options_.web_ui.empty()) info.set_webui_url(options_.web_ui);
  for (const std::string& role : options_.roles) info.add_roles(role);
  for (Capability::Type type : {Capability::TASK_KILLING_STATE, Capability::PARTITION_AWARE,
                                Capability::MULTI_ROLE, Capability::RESERVATION_REFINEMENT}) {
    info.add_capabilities()->set_type(type);
  }
  if (options_.revocable) info.add_capabilities()->set_type(Capability::REVOCABLE_RESOURCES);
  const std::optional<planner::Resource> gpus = planner::Resource::Find(kGpus);
  if (gpus && std::any_of(wanted_.begin(), wanted_.end(),
                          [&](const auto& wanted) { return !wanted.Get(*gpus).is_zero(); })) {
    info.add_capabilities()->set_type(Capability::GPU_RESOURCES);
  }
  if (wanted_.empty() || wanted_.size() > kMaxFilters) return info;
  kartograph::mesos::OfferFilters filters;
  for (const planner::ResourceVector& wanted : wanted_) {
    auto& quantities =
        *filters.mutable_min_allocatable_resources()->add_quantities()->mutable_quantities();
    for (const auto& [resource, quantity] : wanted) {
      const kartograph::mesos::Resource least = MesosResource(resource, quantity);
      quantities[least.name()] = least.scalar();
    }
  }
  for (const std::string& role : options_.roles) (*info.mutable_offer_filters())[role] = filters;
  return info;
}

Framework::Call Framework::Subscribe() const {
  Call call;
  call.set_type(Call::SUBSCRIBE);
  if (!id_.id.empty()) call.mutable_framework_id()->set_value(id_.id);
  *call.mutable_subscribe()->mutable_framework_info() = Describe();
  return call;
}

// --- the connection ---

void Framework::OnEvent(const Event& event) {
  switch (event.type()) {
    case Event::SUBSCRIBED:
      return OnSubscribed(event.subscribed());
    case Event::ERROR:
      return OnError(event.error().message());
    default:
      break;
  }
  if (!reported_connected_) {
    // While we register: Mesos would wait forever for an answer to what is dropped.
    early_.push_back(event);
    return;
  }
  switch (event.type()) {
    case Event::OFFERS:
      return OnOffers(event.offers());
    case Event::RESCIND:
      if (offers_.Remove(event.rescind().offer_id().value())) {
        listener_({OfferRescinded{event.rescind().offer_id().value()}});
        AskForAgentsAfterRescind();
      }
      return;
    case Event::UPDATE:
      return OnStatus(event.update().status());
    case Event::MESSAGE:
      return OnMessage(event.message());
    case Event::FAILURE:
      return OnFailure(event.failure());
    case Event::INVERSE_OFFERS:
      return OnInverseOffers(event.inverse_offers());
    default:
      return;  // of a newer protocol, or of no interest
  }
}

void Framework::OnSubscribed(const Event::Subscribed& subscribed) {
  const std::string& id = subscribed.framework_id().value();
  early_.clear();
  if (abandoning_) return GiveUpOld();
  if (!leaving_.empty()) return Leave();
  if (id_.id.empty()) return Register(id);
  if (id_.id != id) {
    return StopForGood(absl::StrCat("the master calls this framework ", id, ", but it is ", id_.id,
                                    " by ", id_file_.path(),
                                    ": see that --cluster names the same "
                                    "Mesos as before"));
  }
  if (id_.provisional) return Confirm();
  if (!id_.registration) {
    id_.registration = Registration();
    id_file_.Write(id_).IgnoreError();  // the next connection tries again
  }
  BeConnected();
}

// Stored first as provisional, so that a crash at any point leaves either a framework that Mesos
// removes by itself or one whose id we know.
void Framework::Register(const std::string& id) {
  id_ = {id, true, Registration()};
  is_new_ = true;
  if (absl::Status stored = id_file_.Write(id_); !stored.ok()) {
    id_ = {};
    return StopForGood(
        absl::StrCat("the framework's id cannot be stored: ", std::string(stored.message()),
                     "; nothing is launched without it"));
  }
  spdlog::info("mesos: registered as framework {}", id);
  Confirm();
}

void Framework::Confirm() {
  Call call = MakeCall(Call::UPDATE_FRAMEWORK);
  *call.mutable_update_framework()->mutable_framework_info() = Describe();
  subscription_.Call(call, [this](const absl::Status& status) {
    if (!status.ok()) return subscription_.Restart(std::string(status.message()));
    id_.provisional = false;
    if (absl::Status stored = id_file_.Write(id_); !stored.ok()) {
      return StopForGood(
          absl::StrCat("the framework's id cannot be stored: ", std::string(stored.message())));
    }
    BeConnected();
  });
}

void Framework::GiveUpOld() {
  spdlog::warn("mesos: tearing down framework {} with all its tasks, as --mesos-abandon asks",
               id_.id);
  subscription_.Call(MakeCall(Call::TEARDOWN), [this](const absl::Status& status) {
    if (!status.ok()) return subscription_.Restart(std::string(status.message()));
    if (absl::Status removed = id_file_.Remove(); !removed.ok()) {
      return StopForGood(std::string(removed.message()));
    }
    abandoning_ = false;
    abandoned_ = true;
    id_ = {};
    subscription_.Restart("the old framework was given up");
  });
}

// Mesos keeps nothing of a framework under which nothing was launched. Where the stream ends before
// the answer, the next subscription shows whether it is still there.
void Framework::Leave() {
  subscription_.Call(MakeCall(Call::TEARDOWN), [this](const absl::Status& status) {
    if (!status.ok()) return subscription_.Restart(std::string(status.message()));
    StopForGood(leaving_);
  });
}

void Framework::BeConnected() {
  executors_.SetFramework(id_.id);
  executor_of_.SetFramework(id_.id);
  limits_.Trim();
  offers_.Clear();
  agents_.ForgetAll();
  reconciling_ = false;
  reported_connected_ = true;
  reported_reason_.clear();
  next_reconcile_all_ = SteadyNow() + options_.repeat.longest;
  const std::string description =
      absl::StrCat("framework ", id_.id, " at ", subscription_.master());
  spdlog::info("mesos: subscribed as {}", description);
  listener_({Connected{description}});
  AskForAgents();
  for (const Event& event : std::exchange(early_, {})) OnEvent(event);
  ScheduleDue();
}

void Framework::OnLost(const std::string& reason) {
  offers_.Clear();
  early_.clear();
  reconciling_ = false;
  // The same reason again, while it is tried again and again, is not reported.
  if (!reported_connected_ && reason == reported_reason_) return;
  reported_connected_ = false;
  reported_reason_ = reason;
  spdlog::warn("mesos: {}", reason);
  listener_({Disconnected{reason}});
}

void Framework::OnError(const std::string& message) {
  const bool removed =
      absl::StrContains(message, "removed") || absl::StrContains(message, "ompleted");
  if (removed && !leaving_.empty()) return StopForGood(leaving_);
  if (removed && (id_.provisional || abandoning_)) {
    // It has nothing to lose, or was to go anyway.
    if (absl::Status gone = id_file_.Remove(); !gone.ok()) {
      return StopForGood(std::string(gone.message()));
    }
    abandoned_ = abandoned_ || abandoning_;
    abandoning_ = false;
    id_ = {};
    return subscription_.Restart(absl::StrCat("the master says: ", message));
  }
  if (removed) {
    return StopForGood(absl::StrCat(
        "the master has removed framework ", id_.id, " (\"", message,
        "\"): its failover timeout has passed, or somebody tore it down. What ran under it was "
        "ended. Start kartographd with --mesos-abandon ",
        id_.id, " to go on as a new framework; attempts that were running run again"));
  }
  if (absl::StrContains(message, "failed over")) {
    return StopForGood(absl::StrCat("another kartographd has taken over framework ", id_.id,
                                    ": stop one of the two, and start this one again if it is the "
                                    "one to stay"));
  }
  StopForGood(absl::StrCat("the master refuses the framework: \"", message,
                           "\"; fix that and start kartographd again"));
}

void Framework::StopForGood(const std::string& reason) {
  if (stopped_) return;
  Stop();
  offers_.Clear();
  reported_connected_ = false;
  spdlog::error("mesos: {}", reason);
  listener_({Disconnected{reason}});
}

// --- offers and agents ---

void Framework::OnOffers(const Event::Offers& offers) {
  std::vector<ClusterEvent> events;
  for (const kartograph::mesos::Offer& offer : offers.offers()) {
    if (agents_.Learn(offer, subscription_.endpoint())) AskForAgentsSoon();
    for (const kartograph::mesos::ExecutorID& id : offer.executor_ids()) {
      if (Executors::IsOurs(id.value())) {
        running_executors_[offer.agent_id().value()].insert(id.value());
      }
    }
    // A master that gives an id twice means one offer.
    if (offers_.Remove(offer.id().value())) {
      events.emplace_back(OfferRescinded{offer.id().value()});
    }
    Offer added = offers_.Add(offer);
    agents_.OnOffered(added.agent);
    events.emplace_back(std::move(added));
  }
  listener_(std::move(events));
}

// Without an answer, agents are known by what they offer.
void Framework::AskForAgents() {
  agents_.AskWhatTheyHave(
      subscription_.endpoint(), [this](absl::StatusOr<std::vector<AgentCapacity>> report) {
        if (!reported_connected_) return;
        if (!report.ok()) {
          spdlog::log(agents_refused_ ? spdlog::level::debug : spdlog::level::warn,
                      "mesos: the master does not list its agents: {}", report.status().ToString());
        } else {
          if (!report->empty()) {
            listener_(
                {std::make_move_iterator(report->begin()), std::make_move_iterator(report->end())});
          }
          for (const std::string& agent : agents_.closed()) LeaveDrained(agent);
        }
        agents_refused_ = !report.ok();
      });
  asked_for_agents_ = SteadyNow();
  next_ask_for_agents_ = asked_for_agents_ + options_.ask_for_agents_every;
}

// Soon after what is waited for has changed, and from time to time, as what others use counts, too.
void Framework::AskForQuotas() {
  if (!agents_.quotas_matter()) return;
  next_ask_for_quotas_ = SteadyNow() + options_.ask_for_quotas_every;
  agents_.AskForQuotas(subscription_.endpoint(), [this](absl::StatusOr<std::vector<AgentCapacity>>
                                                            report) {
    if (!reported_connected_ || !report.ok() || report->empty()) return;
    listener_({std::make_move_iterator(report->begin()), std::make_move_iterator(report->end())});
  });
}

void Framework::AskForAgentsAfterRescind() {
  const SteadyTime at = std::max(SteadyNow() + kChangedAgentsDelay,
                                 asked_for_agents_ + options_.ask_for_agents_at_most);
  next_ask_for_agents_ = std::min(next_ask_for_agents_, at);
  ScheduleDue();
}

void Framework::SendShutdown(const std::string& agent, const std::string& executor) {
  executors_.Forget(executor);
  Call call = MakeCall(Call::SHUTDOWN);
  call.mutable_shutdown()->mutable_executor_id()->set_value(executor);
  call.mutable_shutdown()->mutable_agent_id()->set_value(agent);
  subscription_.Call(call);
}

void Framework::LeaveDrained(const std::string& agent) {
  if (!draining_.contains(agent) && !agents_.closed().contains(agent)) return;
  auto executors = running_executors_.find(agent);
  if (executors == running_executors_.end() || executors->second.empty()) {
    draining_.erase(agent);
    return;
  }
  const bool busy =
      std::any_of(live_.begin(), live_.end(),
                  [&](const auto& entry) { return MesosAgent(entry.second.agent) == agent; }) ||
      std::any_of(ended_.begin(), ended_.end(),
                  [&](const auto& entry) { return entry.second.mesos_agent == agent; });
  if (busy) return;
  for (const std::string& executor : executors->second) SendShutdown(agent, executor);
}

// Others may have come or gone with the one that has.
void Framework::AskForAgentsSoon() {
  next_ask_for_agents_ = std::min(next_ask_for_agents_, SteadyNow() + kChangedAgentsDelay);
  ScheduleDue();
}

void Framework::Decline(const std::vector<OfferId>& offers) {
  std::vector<OfferId> leaving, others;
  for (const OfferId& id : offers) {
    const bool leaves = offers_.IsLeaving(id);
    if (offers_.Remove(id)) (leaves ? leaving : others).push_back(id);
  }
  SendDecline(leaving, options_.refuse_leaving_for);
  SendDecline(others, options_.refuse_for);
}

void Framework::SendDecline(const std::vector<OfferId>& offers, absl::Duration refuse_for) {
  if (offers.empty()) return;
  Call call = MakeCall(Call::DECLINE);
  for (const OfferId& id : offers) call.mutable_decline()->add_offer_ids()->set_value(id);
  call.mutable_decline()->mutable_filters()->set_refuse_seconds(absl::ToDoubleSeconds(refuse_for));
  subscription_.Call(call);
}

void Framework::SetWanted(const std::vector<planner::ResourceVector>& wanted) {
  agents_.SetWanted(wanted);
  next_ask_for_quotas_ = std::min(next_ask_for_quotas_, SteadyNow() + kChangedAgentsDelay);
  ScheduleDue();
}

void Framework::Suppress() {
  SetWanted({});
  Call call = MakeCall(Call::SUPPRESS);
  for (const std::string& role : options_.roles) call.mutable_suppress()->add_roles(role);
  subscription_.Call(call);
}

void Framework::Revive(const std::vector<planner::ResourceVector>& wanted) {
  SetWanted(wanted);
  if (wanted != wanted_) {
    wanted_ = wanted;
    Call call = MakeCall(Call::UPDATE_FRAMEWORK);
    *call.mutable_update_framework()->mutable_framework_info() = Describe();
    subscription_.Call(call, [](const absl::Status& status) {
      if (!status.ok()) spdlog::warn("mesos: offers are not filtered: {}", status.ToString());
    });
  }
  Call call = MakeCall(Call::REVIVE);
  for (const std::string& role : options_.roles) call.mutable_revive()->add_roles(role);
  subscription_.Call(call);
}

// An agent is given back for its maintenance when nothing of ours runs there.
void Framework::OnInverseOffers(const Event::InverseOffers& offers) {
  Call accept = MakeCall(Call::ACCEPT_INVERSE_OFFERS);
  Call decline = MakeCall(Call::DECLINE_INVERSE_OFFERS);
  for (const kartograph::mesos::InverseOffer& offer : offers.inverse_offers()) {
    const bool busy = std::any_of(live_.begin(), live_.end(), [&](const auto& entry) {
      return !offer.has_agent_id() || MesosAgent(entry.second.agent) == offer.agent_id().value();
    });
    if (busy) {
      *decline.mutable_decline_inverse_offers()->add_inverse_offer_ids() = offer.id();
    } else {
      *accept.mutable_accept_inverse_offers()->add_inverse_offer_ids() = offer.id();
    }
  }
  if (accept.has_accept_inverse_offers()) subscription_.Call(accept);
  if (!decline.has_decline_inverse_offers()) return;
  decline.mutable_decline_inverse_offers()->mutable_filters()->set_refuse_seconds(
      kInverseRefusalSeconds);
  subscription_.Call(decline);
}

void Framework::OnFailure(const Event::Failure& failure) {
  const std::string& agent = failure.agent_id().value();
  if (failure.has_executor_id()) {
    executors_.Forget(failure.executor_id().value());
    if (auto it = running_executors_.find(agent); it != running_executors_.end()) {
      it->second.erase(failure.executor_id().value());
    }
    values_.OnEnded({agent, failure.executor_id().value()});
    LeaveDrained(agent);
    SendDue();
    return;  // its tasks have updates of their own
  }
  running_executors_.erase(agent);
  agents_.Forget(agent);
  AskForAgentsSoon();
  std::vector<ClusterEvent> events;
  for (const std::string& role : options_.roles) {
    events.emplace_back(AgentUnreachable{ToAgentId({agent, role}, options_.roles)});
  }
  listener_(std::move(events));
}

void Framework::OnMessage(const Event::Message& message) {
  kartograph::mesos::FromExecutor from_executor;
  if (!from_executor.ParseFromString(message.data())) return;
  OnSignOfLife(message.executor_id().value());
  SendBlobs(message, from_executor);
  const ValueFetcher::Place from = {message.agent_id().value(), message.executor_id().value()};
  for (const auto& part : from_executor.value_parts()) values_.Receive(from, part);
  if (!from_executor.value_parts().empty()) SendDue();
  if (from_executor.has_overuse()) {
    limits_.OnOveruse(message.executor_id().value(), from_executor.overuse());
  }
  if (!from_executor.has_host()) return;
  absl::StatusOr<HostReport> report = wire::FromMessage(from_executor.host());
  if (!report.ok()) {
    return spdlog::debug("mesos: the host report of {} cannot be read: {}",
                         message.agent_id().value(), std::string(report.status().message()));
  }
  report->agent = ToAgentId({message.agent_id().value(), options_.roles.front()}, options_.roles);
  listener_({*std::move(report)});
}

void Framework::SendBlobs(const Event::Message& to, const kartograph::mesos::FromExecutor& wanted) {
  const int count = std::min(wanted.blob_requests_size(), kMaxBlobRequests);
  for (int i = 0; i < count; ++i) {
    kartograph::mesos::ToExecutor answer;
    *answer.add_blob_parts() = ReadBlobPart(options_.blob_folder, wanted.blob_requests(i));
    SendMessage(to.agent_id().value(), to.executor_id().value(), answer);
  }
}

void Framework::SendMessage(const std::string& agent, const std::string& executor,
                            const kartograph::mesos::ToExecutor& message) {
  Call call = MakeCall(Call::MESSAGE);
  call.mutable_message()->mutable_agent_id()->set_value(agent);
  call.mutable_message()->mutable_executor_id()->set_value(executor);
  call.mutable_message()->set_data(message.SerializeAsString());
  subscription_.Call(call);
}

void Framework::Discard(planner::GraphId graph) {
  kartograph::mesos::ToExecutor wish;
  wish.add_discard_graphs(graph);
  for (const auto& [agent, executors] : running_executors_) {
    for (const std::string& executor : executors) SendMessage(agent, executor, wish);
  }
}

std::string Framework::MesosAgent(const AgentId& agent) const {
  return ToAgentKey(agent, options_.roles).agent;
}

}  // namespace kartograph::executor::mesos
