#include "executor/mesos/framework/value_fetcher.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kartograph::executor::mesos {

using planner::AttemptId;

void ValueFetcher::Add(AttemptId attempt, Place place, int64_t bytes) {
  auto [it, is_new] = values_.try_emplace(attempt);
  if (!is_new) return;
  it->second.place = std::move(place);
  it->second.bytes = bytes;
  order_.push_back(attempt);
}

void ValueFetcher::Remove(AttemptId attempt) {
  if (values_.erase(attempt) > 0) std::erase(order_, attempt);
}

void ValueFetcher::End(AttemptId attempt, absl::StatusOr<std::string> value) {
  Remove(attempt);
  done_.push_back({attempt, std::move(value)});
}

void ValueFetcher::Receive(const Place& from, const kartograph::mesos::ValuePart& part) {
  const AttemptId attempt = {part.attempt()};
  auto it = values_.find(attempt);
  if (it == values_.end() || !(it->second.place == from)) return;
  Value& value = it->second;
  if (part.not_kept()) return End(attempt, absl::NotFoundError("its executor has it no more"));
  // One that comes twice, or late.
  if (part.offset() != static_cast<int64_t>(value.data.size()) || part.data().empty()) return;
  const auto left = static_cast<size_t>(value.bytes) - value.data.size();
  value.data.append(part.data(), 0, std::min(left, part.data().size()));
  value.asked = 0;
  value.ask_at = SteadyTime::InfinitePast();
  if (static_cast<int64_t>(value.data.size()) < value.bytes) return;
  std::string whole = std::move(value.data);
  End(attempt, std::move(whole));
}

void ValueFetcher::OnEnded(const Place& place) {
  std::vector<AttemptId> ended;
  for (const auto& [attempt, value] : values_) {
    if (value.place == place) ended.push_back(attempt);
  }
  for (AttemptId attempt : ended) End(attempt, absl::UnavailableError("its executor has ended"));
}

std::vector<ValueFetcher::Request> ValueFetcher::TakeRequests() {
  const SteadyTime now = options_.clock->SteadyNow();
  std::vector<Request> requests;
  std::vector<AttemptId> given_up;
  for (size_t i = 0; i < std::min(order_.size(), options_.max_at_once); ++i) {
    Value& value = values_.at(order_[i]);
    if (value.ask_at > now) continue;
    if (value.asked >= options_.max_asked) {
      given_up.push_back(order_[i]);
      continue;
    }
    ++value.asked;
    value.ask_at = now + options_.ask_again;
    Request& request = requests.emplace_back();
    request.to = value.place;
    request.request.set_attempt(order_[i].value);
    request.request.set_offset(static_cast<int64_t>(value.data.size()));
  }
  for (AttemptId attempt : given_up) {
    End(attempt, absl::UnavailableError(absl::StrCat("its executor has not answered ",
                                                     options_.max_asked, " requests for it")));
  }
  return requests;
}

SteadyTime ValueFetcher::NextRequest() const {
  SteadyTime next = SteadyTime::InfiniteFuture();
  for (size_t i = 0; i < std::min(order_.size(), options_.max_at_once); ++i) {
    next = std::min(next, values_.at(order_[i]).ask_at);
  }
  return next;
}

}  // namespace kartograph::executor::mesos
