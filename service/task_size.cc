#include "service/task_size.h"

namespace kartograph::service {
namespace {

// For the names of what is omitted.
constexpr size_t kReserve = 128;
// The least that an entry of a repeated field takes beside its content.
constexpr size_t kEntryOverhead = 2;

}  // namespace

void FitTask(size_t max_bytes, v1::Task& task) {
  const size_t allowed = max_bytes - kReserve;
  size_t size = task.ByteSizeLong();
  if (size > allowed && !task.return_value().empty()) {
    size -= task.return_value().size();
    task.clear_return_value();
    task.add_omitted("return_value");
  }
  int oldest = 0;
  while (size > allowed && oldest + 1 < task.attempts_size()) {
    size -= task.attempts(oldest++).ByteSizeLong() + kEntryOverhead;
  }
  if (oldest > 0) {
    task.mutable_attempts()->DeleteSubrange(0, oldest);
    task.add_omitted("attempts");
  }
  if (size > allowed && !task.spec().input().empty()) {
    size -= task.spec().input().size();
    task.mutable_spec()->clear_input();
    task.add_omitted("spec.input");
  }
  if (size > allowed && task.spec().after_size() > 0) {
    auto& after = *task.mutable_spec()->mutable_after();
    while (size > allowed && !after.empty()) {
      size -= after.rbegin()->size() + kEntryOverhead;
      after.RemoveLast();
    }
    task.add_omitted("spec.after");
  }
  if (size > allowed) {
    task.mutable_spec()->clear_command();
    task.add_omitted("spec.command");
  }
}

}  // namespace kartograph::service
