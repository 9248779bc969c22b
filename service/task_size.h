// Keeps a task's message within what its reader takes.
#ifndef KARTOGRAPH_SERVICE_TASK_SIZE_H_
#define KARTOGRAPH_SERVICE_TASK_SIZE_H_

#include <cstddef>

#include "api/kartograph/v1/task_executer.pb.h"

namespace kartograph::service {

// Every client takes an answer of this size; leaves room below gRPC's default limit of 4 MiB.
constexpr size_t kMaxAnswerBytes = (39 << 20) / 10;

// Leaves out of `task` what does not fit into `max_bytes`, at least 64 KiB, and names it in
// `omitted`, as the contract says.
void FitTask(size_t max_bytes, v1::Task& task);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_TASK_SIZE_H_
