#include "executor/mesos/executor/outbox.h"

#include <utility>

namespace kartograph::executor::mesos {
namespace {

bool IsEnd(kartograph::mesos::TaskState state) {
  switch (state) {
    case kartograph::mesos::TASK_STARTING:
    case kartograph::mesos::TASK_RUNNING:
    case kartograph::mesos::TASK_STAGING:
    case kartograph::mesos::TASK_KILLING:
      return false;
    default:
      return true;
  }
}

}  // namespace

bool Outbox::AddTask(kartograph::mesos::TaskInfo task) {
  auto [it, is_new] = tasks_.try_emplace(task.task_id().value());
  if (!is_new) return false;
  it->second.number = ++last_number_;
  infos_[it->second.number] = std::move(task);
  return true;
}

void Outbox::AddUpdate(kartograph::mesos::TaskStatus status) {
  auto it = tasks_.find(status.task_id().value());
  if (it == tasks_.end() || it->second.ended) return;
  ++it->second.updates;
  it->second.ended = IsEnd(status.state());
  numbers_[status.uuid()] = ++last_number_;
  updates_[last_number_] = std::move(status);
}

bool Outbox::Acknowledge(const std::string& task_id, const std::string& uuid) {
  auto number = numbers_.find(uuid);
  if (number == numbers_.end()) return false;
  auto update = updates_.find(number->second);
  if (update->second.task_id().value() != task_id) return false;
  updates_.erase(update);
  numbers_.erase(number);
  auto task = tasks_.find(task_id);
  infos_.erase(task->second.number);
  --task->second.updates;
  if (!task->second.ended || task->second.updates > 0) return false;
  tasks_.erase(task);
  return true;
}

bool Outbox::IsAlive(const std::string& task_id) const {
  auto it = tasks_.find(task_id);
  return it != tasks_.end() && !it->second.ended;
}

void Outbox::Fill(kartograph::mesos::executor::Call::Subscribe* subscribe) {
  for (const auto& [number, info] : infos_) *subscribe->add_unacknowledged_tasks() = info;
  for (const auto& [number, status] : updates_) {
    *subscribe->add_unacknowledged_updates()->mutable_status() = status;
  }
  sent_ = last_number_;
}

const kartograph::mesos::TaskStatus* Outbox::NextToSend() {
  auto it = updates_.upper_bound(sent_);
  if (it == updates_.end()) return nullptr;
  sent_ = it->first;
  return &it->second;
}

}  // namespace kartograph::executor::mesos
