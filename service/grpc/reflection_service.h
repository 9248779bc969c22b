// Reflection in version 1 of its protocol, which Debian's gRPC has as v1alpha only: newer clients
// ask for v1 first, and some for nothing else.
#ifndef KARTOGRAPH_SERVICE_GRPC_REFLECTION_SERVICE_H_
#define KARTOGRAPH_SERVICE_GRPC_REFLECTION_SERVICE_H_

#include <string>
#include <utility>
#include <vector>

#include "service/grpc/reflection.grpc.pb.h"

namespace kartograph::service {

// Describes what is linked into this program. Thread-safe.
class ReflectionService final : public grpc::reflection::v1::ServerReflection::CallbackService {
 public:
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;

  // `services` are the full names of those that the server has.
  explicit ReflectionService(std::vector<std::string> services) : services_(std::move(services)) {}

  grpc::ServerBidiReactor<Request, Response>* ServerReflectionInfo(
      grpc::CallbackServerContext* context) override;

  // What cannot be found is an error in the response, not of the call.
  Response Answer(const Request& request) const;

 private:
  const std::vector<std::string> services_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_REFLECTION_SERVICE_H_
