// Names that the processes of one host share.
#ifndef KARTOGRAPH_EXECUTOR_AGENT_HOST_CLAIM_H_
#define KARTOGRAPH_EXECUTOR_AGENT_HOST_CLAIM_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/descriptor.h"

namespace kartograph::executor {

// Claims a name, which one process of the host has at a time, until the descriptor is closed or the
// process ends. "Host" is a network namespace: the name is an address of Linux's abstract sockets,
// so that nothing is left of it on disk. AlreadyExists where another has it; InvalidArgument for a
// name of more than 107 bytes.
absl::StatusOr<Descriptor> ClaimOnHost(absl::string_view name);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_AGENT_HOST_CLAIM_H_
