// A stand-in for a Mesos cluster: a master and its agents that speak the real protocols over real
// HTTP, on demand under bad conditions. See controls.h for what can be done to it.
#ifndef KARTOGRAPH_TESTS_MESOS_STAND_IN_H_
#define KARTOGRAPH_TESTS_MESOS_STAND_IN_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/mesos/http_endpoint.h"
#include "tests/mesos/loop.h"
#include "tests/mesos/master.h"
#include "tests/mesos/settings.h"

namespace kartograph::stand_in {

// Thread-safe; has one thread of its own. Its end ends all that it has started.
class StandIn {
 public:
  static absl::StatusOr<std::unique_ptr<StandIn>> Start(Settings settings);
  ~StandIn();

  int port() const { return endpoint_->port(); }
  std::string address() const;  // "127.0.0.1:port"

  // Serves the controls over HTTP as well: POST of them, and GET /state. Gives the port.
  absl::StatusOr<int> ServeControls(int port);

  // Does what a path of controls.h says: Control("/agent/0/partition"). Its effects on the
  // stand-in are there on return.
  absl::Status Control(absl::string_view target);
  // Runs on the stand-in's thread, and waits.
  void Inspect(const std::function<void(const Master&)>& look);
  Counters counters();

 private:
  explicit StandIn(Settings settings);
  absl::Status AddAgent(const AgentSettings& settings);
  absl::Status ControlNow(const HttpRequest& request);
  void OnControl(const HttpRequest& request, const HttpReplier& reply);
  void Wait(const std::function<void()>& job);

  const Settings settings_;
  Loop loop_;
  Counters counters_;
  std::unique_ptr<Master> master_;
  std::unique_ptr<HttpEndpoint> endpoint_;
  std::unique_ptr<HttpEndpoint> controls_;
  // One for each agent where tasks are real, else one for all.
  std::vector<std::unique_ptr<HttpEndpoint>> agent_endpoints_;
  std::thread thread_;
};

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_STAND_IN_H_
