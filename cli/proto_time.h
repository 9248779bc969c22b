// Times and durations of the contract's messages.
#ifndef KARTOGRAPH_CLI_PROTO_TIME_H_
#define KARTOGRAPH_CLI_PROTO_TIME_H_

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace kartograph::cli {

google::protobuf::Duration ToProto(absl::Duration duration);
absl::Duration FromProto(const google::protobuf::Duration& duration);
absl::Time FromProto(const google::protobuf::Timestamp& time);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_PROTO_TIME_H_
