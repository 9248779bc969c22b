#include "executor/mesos/framework/subscription.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "executor/mesos/endpoint.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::scheduler::Event;
using SchedulerCall = kartograph::mesos::scheduler::Call;

namespace {

constexpr int kMaxHops = 5;
// The session ends after this many heartbeats without a record: one may be late when the master is
// busy.
constexpr int kHeartbeatsMissed = 4;
// Whatever the master announces.
constexpr absl::Duration kShortestHeartbeat = absl::Milliseconds(10);
constexpr absl::Duration kLongestHeartbeat = absl::Hours(1);

}  // namespace

Subscription::Subscription(boost::asio::io_context& io, Options options, Handlers handlers)
    : io_(io),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      retry_(io),
      heartbeat_timer_(io),
      random_(std::random_device()()),
      back_off_(options_.first_back_off),
      heartbeat_(options_.heartbeat) {}

Subscription::~Subscription() = default;

void Subscription::Start(std::unique_ptr<MasterFinder> finder) {
  finder_ = std::move(finder);
  Try();
}

void Subscription::Stop() {
  stopped_ = true;
  subscribed_ = false;
  session_.reset();
  finder_.reset();
  retry_.cancel();
  heartbeat_timer_.cancel();
}

void Subscription::OnLeaderChanged() {
  if (stopped_ || !finder_) return;
  const absl::StatusOr<Endpoint> leader = finder_->Next();
  if (!leader.ok()) return;
  if (session_ && leader->ToString() == endpoint_.ToString()) return;
  back_off_ = options_.first_back_off;
  if (session_) {
    Lost(absl::StrCat("another master leads: ", leader->ToString()), true);
  } else {
    Try();
  }
}

void Subscription::Restart(const std::string& reason) { Lost(reason, false); }

void Subscription::Try() {
  if (stopped_) return;
  hops_ = 0;
  absl::StatusOr<Endpoint> endpoint = finder_->Next();
  if (!endpoint.ok()) return Lost(std::string(endpoint.status().message()), false);
  Open(*std::move(endpoint));
}

void Subscription::Open(Endpoint endpoint) {
  retry_.cancel();
  endpoint_ = std::move(endpoint);
  ApiSession::Options options;
  options.endpoint = endpoint_;
  options.authorization =
      options_.renew_authorization ? options_.renew_authorization() : options_.authorization;
  options.tls_context = options_.tls_context;
  session_ = ApiSession::Open(io_, std::move(options), handlers_.subscribe().SerializeAsString(),
                              {[this](absl::string_view record) { OnRecord(record); },
                               [this](const SessionEnd& end) { OnEnd(end); }});
  silent_heartbeats_ = 0;
  WatchHeart();
}

void Subscription::OnRecord(absl::string_view record) {
  Event& event = event_;
  if (!event.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    if (!subscribed_) {
      return Lost(absl::StrCat(endpoint_.ToString(), " sends an invalid event"), false);
    }
    // Where the next one begins is known. What came with this one is repeated or asked for again,
    // and would come again after each new subscription.
    spdlog::warn("mesos: {} sends an event of {} bytes that cannot be read, which is left out",
                 endpoint_.ToString(), record.size());
    return;
  }
  silent_heartbeats_ = -1;  // the one that is under way does not count
  if (event.type() == Event::HEARTBEAT) return;
  if (event.type() == Event::SUBSCRIBED) {
    subscribed_ = true;
    master_ =
        absl::StrCat(endpoint_.tls ? "https://" : "http://", endpoint_.host, ":", endpoint_.port);
    back_off_ = options_.first_back_off;
    heartbeat_ = event.subscribed().heartbeat_interval_seconds() > 0
                     ? std::clamp(absl::Seconds(event.subscribed().heartbeat_interval_seconds()),
                                  kShortestHeartbeat, kLongestHeartbeat)
                     : options_.heartbeat;
    WatchHeart();
  }
  handlers_.on_event(event);
}

void Subscription::WatchHeart() {
  heartbeat_timer_.expires_after(absl::ToChronoNanoseconds(heartbeat_));
  heartbeat_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_ || !session_) return;
    if (++silent_heartbeats_ >= kHeartbeatsMissed) {
      return Lost(absl::StrCat(endpoint_.ToString(), " has been silent for ",
                               absl::FormatDuration(kHeartbeatsMissed * heartbeat_)),
                  false);
    }
    WatchHeart();
  });
}

void Subscription::OnEnd(const SessionEnd& end) {
  if (end.kind == SessionEnd::Kind::kRedirected && ++hops_ <= kMaxHops) {
    absl::StatusOr<Endpoint> leader = ParseRedirect(end.location, endpoint_);
    if (leader.ok()) {
      if (subscribed_) handlers_.on_lost(end.message);
      subscribed_ = false;
      if (!stopped_) Open(*std::move(leader));
      return;
    }
    return Lost(absl::StrCat(end.message, ", but ", std::string(leader.status().message())), false);
  }
  Lost(end.message, false);
}

void Subscription::Lost(const std::string& reason, bool at_once) {
  if (stopped_) return;
  session_.reset();
  subscribed_ = false;
  master_.clear();
  heartbeat_timer_.cancel();
  handlers_.on_lost(reason);
  if (stopped_) return;
  // With jitter, so that the frameworks of a cluster do not come back all at once.
  std::uniform_real_distribution<double> jitter(0.5, 1.0);
  const absl::Duration wait = at_once ? absl::ZeroDuration() : back_off_ * jitter(random_);
  if (!at_once) back_off_ = std::min(back_off_ * 2, options_.longest_back_off);
  retry_.expires_after(absl::ToChronoNanoseconds(wait));
  retry_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Try();
  });
}

void Subscription::Call(const SchedulerCall& call, std::function<void(const absl::Status&)> done) {
  if (subscribed_) session_->Call(call.SerializeAsString(), std::move(done));
}

}  // namespace kartograph::executor::mesos
