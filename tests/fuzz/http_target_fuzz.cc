// Targets of HTTP requests and their parameters.
#include <optional>
#include <string>

#include "service/http/http_params.h"
#include "service/http/http_server.h"
#include "tests/fuzz/expect.h"

namespace service = kartograph::service;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::optional<service::HttpRequest> request =
      service::ParseTarget(kartograph::InputText(data, size));
  if (!request) return 0;
  FUZZ_EXPECT(!request->path.empty() && request->path[0] == '/');
  service::HttpParams params(*request);
  params.Text("name");
  params.Required("graph_id");
  const int32_t count = params.Count("page_size", 1000, "the default of 100");
  FUZZ_EXPECT(count >= 0 && count <= 1000);
  params.Int64("offset");
  params.Bool("follow");
  params.TaskStates("states");
  params.GraphState("state");
  params.LogStream("stream");
  const absl::Status status = params.Check();
  service::ErrorResponse(status.ok() ? absl::NotFoundError(request->path) : status);
  return 0;
}
