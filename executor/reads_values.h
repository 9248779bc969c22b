// Whether a task reads what the tasks before it have returned.
#ifndef KARTOGRAPH_EXECUTOR_READS_VALUES_H_
#define KARTOGRAPH_EXECUTOR_READS_VALUES_H_

#include "absl/strings/string_view.h"

namespace kartograph::executor {

// Payload::reads_values of a serialized executor.Payload, found without reading the rest of it.
bool ReadsValues(absl::string_view payload);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_READS_VALUES_H_
