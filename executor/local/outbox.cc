#include "executor/local/outbox.h"

#include <utility>

#include "executor/local/protocol.h"

namespace kartograph::executor::local {

void Outbox::Connect(int socket) {
  socket_ = socket;
  appended_bytes_ = 0;
  AppendKept();
}

std::string Outbox::Disconnect() {
  socket_ = -1;
  for (const Unsent& launch : unsent_) dropped_.push_back(launch.attempt);
  unsent_.clear();
  return std::exchange(out_, {});
}

bool Outbox::Put(const ToAgent& message) {
  if (!connected() || full()) {
    Keep(message);
    for (const wire::Launch& launch : message.launches()) {
      dropped_.push_back({launch.attempt()});
    }
    if (!connected()) return true;
    ToAgent rest = message;
    rest.clear_launches();
    rest.clear_cancels();
    rest.clear_acknowledged();
    if (rest.ByteSizeLong() > 0) Append(rest);
    return message.launches().empty();
  }
  const bool idle = out_.empty();
  Append(message);
  if (!idle) return true;
  // Mostly the socket takes it at once, and no other thread has to wake up for it.
  Flush();
  return out_.empty();
}

void Outbox::Flush() {
  // Where the agent is gone, the reader finds out.
  SendSome(socket_, &out_);
  const uint64_t sent = appended_bytes_ - out_.size();
  while (!unsent_.empty() && unsent_.front().end <= sent) unsent_.pop_front();
  if (!full()) AppendKept();
}

std::vector<planner::AttemptId> Outbox::TakeDropped() { return std::exchange(dropped_, {}); }

void Outbox::Append(const ToAgent& message) {
  const size_t before = out_.size();
  AppendFrame(message, &out_);
  appended_bytes_ += out_.size() - before;
  for (const wire::Launch& launch : message.launches()) {
    unsent_.push_back({appended_bytes_, {launch.attempt()}});
  }
}

void Outbox::AppendKept() {
  if (cancels_.empty() && acknowledged_.empty()) return;
  ToAgent message;
  for (const auto& [attempt, grace] : cancels_) {
    Cancel* cancel = message.add_cancels();
    cancel->set_attempt(attempt);
    cancel->set_grace_ns(grace);
  }
  message.mutable_acknowledged()->Add(acknowledged_.begin(), acknowledged_.end());
  cancels_.clear();
  acknowledged_.clear();
  Append(message);
}

void Outbox::Keep(const ToAgent& message) {
  for (const Cancel& cancel : message.cancels()) cancels_[cancel.attempt()] = cancel.grace_ns();
  acknowledged_.insert(message.acknowledged().begin(), message.acknowledged().end());
}

}  // namespace kartograph::executor::local
