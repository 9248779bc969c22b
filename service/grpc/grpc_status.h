// From absl::Status to what a gRPC client gets.
#ifndef KARTOGRAPH_SERVICE_GRPC_GRPC_STATUS_H_
#define KARTOGRAPH_SERVICE_GRPC_GRPC_STATUS_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace kartograph::service {

// A client that takes more metadata than gRPC's default of 8 KiB (GRPC_ARG_MAX_METADATA_SIZE) says
// so with this request header, in bytes, and is sent more problems.
inline constexpr char kMetadataLimitHeader[] = "kartograph-metadata-bytes";
// The response header with the serialized Problems.
inline constexpr char kProblemsHeader[] = "kartograph-problems-bin";

// Codes are the same one to one. Puts the problems the status carries into the trailing metadata of
// `context`, and as a google.rpc.BadRequest into the details of the status, so it is called once,
// right before the call is finished. Message and problems are truncated to what the client takes.
grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase& context);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_GRPC_STATUS_H_
