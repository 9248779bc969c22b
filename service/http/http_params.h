// Parameters of an HTTP request's query, checked as strictly as fields of a message.
#ifndef KARTOGRAPH_SERVICE_HTTP_HTTP_PARAMS_H_
#define KARTOGRAPH_SERVICE_HTTP_HTTP_PARAMS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "service/convert.h"
#include "service/http/http_server.h"

namespace kartograph::service {

// Each getter gives the default where the parameter is missing or invalid; an invalid one is a
// problem. `request` outlives this. Thread-compatible.
class HttpParams {
 public:
  explicit HttpParams(const HttpRequest& request) : request_(request) {}

  std::string Text(absl::string_view name);
  std::string Required(absl::string_view name);
  // From 1 to `most`. 0 where it is not there or 0, which stands for `unset`, such as "the default
  // of 100".
  int32_t Count(absl::string_view name, int32_t most, absl::string_view unset);
  // 0 where it is not there.
  int64_t Int64(absl::string_view name);
  bool Bool(absl::string_view name);
  // May be given several times.
  std::vector<v1::TaskState> TaskStates(absl::string_view name);
  v1::GraphState GraphState(absl::string_view name);
  v1::LogStream LogStream(absl::string_view name);

  // All problems, including parameters that no getter asked for.
  absl::Status Check();

 private:
  // The value of a parameter that may be given once; null where it is not there.
  const std::string* Find(absl::string_view name);
  void Expect(absl::string_view name);

  const HttpRequest& request_;
  std::vector<std::string> known_;
  ProblemList problems_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_HTTP_PARAMS_H_
