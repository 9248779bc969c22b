#include "tests/mesos/stand_in.h"

#include <filesystem>
#include <future>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/mesos/controls.h"
#include "tests/mesos/files.h"
#include "tests/mesos/operator_json.h"

namespace kartograph::stand_in {

StandIn::StandIn(Settings settings) : settings_(std::move(settings)) {}

absl::StatusOr<std::unique_ptr<StandIn>> StandIn::Start(Settings settings) {
  if (settings.real_tasks) {
    if (settings.work_dir.empty()) {
      return absl::InvalidArgumentError("real tasks need a work_dir for their sandboxes");
    }
    std::error_code error;
    std::filesystem::create_directories(settings.work_dir, error);
    settings.work_dir = std::filesystem::canonical(settings.work_dir, error).string();
    if (error) return absl::InvalidArgumentError("the work_dir cannot be made");
  }
  std::unique_ptr<StandIn> stand_in(new StandIn(std::move(settings)));
  stand_in->master_ =
      std::make_unique<Master>(stand_in->loop_, stand_in->settings_, stand_in->counters_);
  stand_in->endpoint_ = std::make_unique<HttpEndpoint>(
      stand_in->loop_,
      [master = stand_in->master_.get()](const HttpRequest& request, const HttpReplier& reply) {
        master->OnRequest(request, reply);
      });
  if (absl::Status status = stand_in->endpoint_->Listen(stand_in->settings_.port); !status.ok()) {
    return status;
  }
  stand_in->master_->set_port(stand_in->endpoint_->port());
  for (const AgentSettings& agent : stand_in->settings_.agents) {
    if (absl::Status status = stand_in->AddAgent(agent); !status.ok()) return status;
  }
  stand_in->master_->Start();
  stand_in->thread_ = std::thread([loop = &stand_in->loop_] { loop->Run(); });
  return stand_in;
}

absl::Status StandIn::AddAgent(const AgentSettings& settings) {
  absl::StatusOr<Pool> total = Pool::FromText(settings.resources);
  if (!total.ok()) return total.status();
  auto agent = std::make_unique<Agent>(master_->MakeAgentContext(), master_->NewAgentId(), settings,
                                       *std::move(total));
  if (settings_.real_tasks || agent_endpoints_.empty()) {
    agent_endpoints_.push_back(std::make_unique<HttpEndpoint>(
        loop_, [agent = agent.get()](const HttpRequest& request, const HttpReplier& reply) {
          OnAgentRequest(agent, request, reply);
        }));
    if (absl::Status status = agent_endpoints_.back()->Listen(0); !status.ok()) return status;
  }
  agent->set_port(agent_endpoints_.back()->port());
  master_->AddAgent(std::move(agent));
  return absl::OkStatus();
}

StandIn::~StandIn() {
  if (thread_.joinable()) {
    Wait([this] {
      for (const auto& agent : master_->all_agents()) agent->KillAll();
      if (controls_) controls_->Close();
      endpoint_->Close();
      for (const auto& endpoint : agent_endpoints_) endpoint->Close();
      loop_.Clear();
    });
    loop_.Stop();
    thread_.join();
  }
}

std::string StandIn::address() const { return absl::StrCat("127.0.0.1:", port()); }

void StandIn::Wait(const std::function<void()>& job) {
  std::promise<void> done;
  // Twice, so that it comes after what an already answered call has set off: the loop takes in what
  // its own thread posts when a handler returns.
  loop_.Post([&] {
    loop_.Post([&] {
      job();
      done.set_value();
    });
  });
  done.get_future().wait();
}

void StandIn::Inspect(const std::function<void(const Master&)>& look) {
  Wait([&] { look(*master_); });
}

Counters StandIn::counters() {
  Counters copy;
  Wait([&] { copy = counters_; });
  return copy;
}

absl::Status StandIn::Control(absl::string_view target) {
  HttpRequest request;
  request.target = std::string(target);
  if (!request.ParseTarget()) return absl::InvalidArgumentError("not a path and a query");
  absl::Status status;
  Wait([&] { status = ControlNow(request); });
  return status;
}

absl::Status StandIn::ControlNow(const HttpRequest& request) {
  if (request.path == "/add_agent") {
    AgentSettings settings;
    if (const auto resources = request.Query("resources")) settings.resources = *resources;
    if (const auto attributes = request.Query("attributes")) settings.attributes = *attributes;
    return AddAgent(settings);
  }
  if (request.path == "/delay") {
    absl::StatusOr<absl::Duration> delay = MillisecondsOf(request, "ms", absl::ZeroDuration());
    if (!delay.ok()) return delay.status();
    endpoint_->set_delay(*delay);
    return absl::OkStatus();
  }
  return ApplyControl(*master_, request);
}

absl::StatusOr<int> StandIn::ServeControls(int port) {
  absl::Status status;
  Wait([&] {
    controls_ = std::make_unique<HttpEndpoint>(
        loop_, [this](const HttpRequest& request, const HttpReplier& reply) {
          OnControl(request, reply);
        });
    status = controls_->Listen(port);
  });
  if (!status.ok()) return status;
  return controls_->port();
}

void StandIn::OnControl(const HttpRequest& request, const HttpReplier& reply) {
  if (request.method == "GET" && request.path == "/state") {
    return reply->Reply(200, StateJson(*master_, counters_),
                        {{"Content-Type", "application/json"}});
  }
  if (request.method != "POST") return reply->Reply(405, "POST does something, GET reads /state");
  const absl::Status status = ControlNow(request);
  if (status.ok()) return reply->Reply(200);
  reply->Reply(absl::IsNotFound(status) ? 404 : 400, std::string(status.message()));
}

}  // namespace kartograph::stand_in
