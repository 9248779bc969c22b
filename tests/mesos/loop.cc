#include "tests/mesos/loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

namespace kartograph::stand_in {
namespace {

using Clock = std::chrono::steady_clock;

struct Job {
  Clock::time_point due;
  uint64_t number;
  std::function<void()> run;
  bool operator>(const Job& other) const {
    return due != other.due ? due > other.due : number > other.number;
  }
};

}  // namespace

struct Loop::Parts {
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  boost::asio::steady_timer timer{io};
  std::priority_queue<Job, std::vector<Job>, std::greater<Job>> jobs;
  uint64_t next_number = 0;
  Clock::time_point armed_for = Clock::time_point::max();
};

Loop::Loop() : parts_(std::make_unique<Parts>()) {}

Loop::~Loop() = default;

void Loop::Run() { parts_->io.run(); }

void Loop::Stop() { parts_->io.stop(); }

boost::asio::io_context& Loop::io() { return parts_->io; }

void Loop::Post(std::function<void()> job) { boost::asio::post(parts_->io, std::move(job)); }

void Loop::After(absl::Duration delay, std::function<void()> job) {
  if (delay == absl::InfiniteDuration()) return;
  parts_->jobs.push(
      {Clock::now() + absl::ToChronoNanoseconds(delay), parts_->next_number++, std::move(job)});
  Arm();
}

void Loop::Clear() {
  parts_->jobs = {};
  parts_->timer.cancel();
}

void Loop::Arm() {
  if (parts_->jobs.empty() || parts_->jobs.top().due >= parts_->armed_for) return;
  parts_->armed_for = parts_->jobs.top().due;
  parts_->timer.expires_at(parts_->armed_for);
  parts_->timer.async_wait([this](boost::system::error_code error) {
    if (!error) RunDue();
  });
}

void Loop::RunDue() {
  parts_->armed_for = Clock::time_point::max();
  const Clock::time_point now = Clock::now();
  while (!parts_->jobs.empty() && parts_->jobs.top().due <= now) {
    // The queue gives no way to move out of it but this.
    std::function<void()> run = std::move(const_cast<Job&>(parts_->jobs.top()).run);
    parts_->jobs.pop();
    run();
  }
  Arm();
}

}  // namespace kartograph::stand_in
