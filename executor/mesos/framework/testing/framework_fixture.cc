#include "executor/mesos/framework/testing/framework_fixture.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "executor/wire/attempt.h"

namespace kartograph::stand_in {

using executor::AttemptUpdate;
using executor::Connected;
using executor::Offer;
using planner::AttemptId;
using planner::Outcome;
using planner::Quantity;
using planner::Resource;

namespace {

SimulatedTask Simulate(const mesos::TaskInfo& info) {
  executor::wire::Update update;
  update.set_start_ns(absl::ToUnixNanos(absl::Now()));
  SimulatedTask task;
  task.running_data = update.SerializeAsString();
  if (info.name() == "forever" || info.name() == "hog") {
    task.duration = absl::InfiniteDuration();
    return task;
  }
  update.set_end_ns(update.start_ns() + 1000);
  if (info.name() == "exit") {
    update.set_outcome(static_cast<int>(Outcome::kExited));
    update.set_exit_status(3);
    task.end = mesos::TASK_FAILED;
  } else {
    update.set_outcome(static_cast<int>(Outcome::kSucceeded));
    update.set_return_value(info.name());
  }
  task.end_data = update.SerializeAsString();
  return task;
}

}  // namespace

void Recorder::Add(std::vector<executor::ClusterEvent> events) {
  absl::MutexLock lock(&mutex_);
  for (executor::ClusterEvent& event : events) {
    const auto* rescinded = std::get_if<executor::OfferRescinded>(&event);
    const bool all = std::holds_alternative<executor::Disconnected>(event);
    events_.remove_if([&](const executor::ClusterEvent& former) {
      const auto* offer = std::get_if<Offer>(&former);
      return offer != nullptr && (all || (rescinded != nullptr && offer->id == rescinded->id));
    });
    events_.push_back(std::move(event));
  }
}

void Recorder::Clear() {
  absl::MutexLock lock(&mutex_);
  events_.clear();
}

Kartograph::Kartograph(executor::MesosClusterOptions options) {
  auto cluster = executor::CreateMesosCluster(std::move(options));
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  cluster_ = *std::move(cluster);
  const absl::Status started = cluster_->Start(
      [this](std::vector<executor::ClusterEvent> events) { recorder_.Add(std::move(events)); });
  EXPECT_TRUE(started.ok()) << started;
}

Offer Kartograph::AwaitOffer() {
  return Await<Offer>([](const Offer& offer) { return !offer.resources.empty(); });
}

AttemptUpdate Kartograph::AwaitRunning(AttemptId attempt) {
  return Await<AttemptUpdate>([&](const AttemptUpdate& update) {
    return update.attempt == attempt && update.outcome == Outcome::kNone && !update.unreachable &&
           update.start_time != absl::InfinitePast();
  });
}

AttemptUpdate Kartograph::AwaitUnreachable(AttemptId attempt) {
  return Await<AttemptUpdate>(
      [&](const AttemptUpdate& update) { return update.attempt == attempt && update.unreachable; });
}

AttemptUpdate Kartograph::AwaitEnd(AttemptId attempt) {
  return Await<AttemptUpdate>([&](const AttemptUpdate& update) {
    return update.attempt == attempt && update.outcome != Outcome::kNone;
  });
}

executor::Launch Kartograph::Run(const std::string& name, uint32_t task) {
  executor::Launch launch = LaunchOn(AwaitOffer().agent, name, task);
  cluster_->Execute({launch});
  AwaitRunning(launch.attempt);
  return launch;
}

absl::StatusOr<executor::LogChunk> Kartograph::ReadLog(const executor::LogRequest& request) {
  absl::StatusOr<executor::LogChunk> answer;
  absl::Notification done;
  cluster_->logs()->ReadLog(request, [&](absl::StatusOr<executor::LogChunk> chunk) {
    answer = std::move(chunk);
    done.Notify();
  });
  done.WaitForNotification();
  return answer;
}

AttemptId AttemptOf(uint32_t task) { return AttemptId::Of(planner::TaskKey::Of(1, task), 1); }

executor::Launch LaunchOn(const executor::AgentId& agent, const std::string& name, uint32_t task) {
  executor::Launch launch;
  launch.attempt = AttemptOf(task);
  launch.agent = agent;
  launch.task_name = name;
  launch.consumption = CpuAndRam(1, 128);
  return launch;
}

planner::ResourceVector CpuAndRam(double cpus, int64_t mib) {
  return {{Resource::Cpu(), *Quantity::FromUnits(cpus)},
          {Resource::Ram(), Quantity::Of(mib * 1024 * 1024)}};
}

FrameworkTest::FrameworkTest() {
  std::string pattern = testing::TempDir() + "/framework.XXXXXX";
  folder_ = mkdtemp(pattern.data());
  settings_.agents[0].resources = "cpus:4;mem:4096";
  settings_.allocation_interval = absl::Milliseconds(10);
  settings_.update_retry = absl::Milliseconds(100);
  settings_.simulate = Simulate;
  options_.user = "somebody";
  options_.id_file = folder_ + "/framework";
  options_.executors.path = "/bin/true";
  options_.executors.resources = CpuAndRam(0.5, 64);
  options_.subscription.first_back_off = absl::Milliseconds(10);
  options_.subscription.longest_back_off = absl::Milliseconds(50);
  options_.confirm_after = absl::Milliseconds(50);
  options_.repeat = {absl::Milliseconds(20), absl::Milliseconds(100)};
}

FrameworkTest::~FrameworkTest() {
  kartograph_.reset();
  mesos_.reset();
  std::filesystem::remove_all(folder_);
}

void FrameworkTest::StartMesos() {
  auto mesos = StandIn::Start(settings_);
  ASSERT_TRUE(mesos.ok()) << mesos.status();
  mesos_ = *std::move(mesos);
}

executor::MesosClusterOptions FrameworkTest::OptionsFor(const StandIn& mesos) const {
  executor::MesosClusterOptions options;
  options.master = *executor::mesos::ParseMasterAddress("http://" + mesos.address());
  options.framework = options_;
  return options;
}

void FrameworkTest::StartKartograph() {
  kartograph_ = std::make_unique<Kartograph>(OptionsFor(*mesos_));
}

void FrameworkTest::StartAll() {
  StartMesos();
  StartKartograph();
  kartograph_->Await<Connected>();
}

void FrameworkTest::RestartKartograph() {
  kartograph_.reset();
  StartKartograph();
  kartograph_->Await<Connected>();
}

void FrameworkTest::Control(absl::string_view target) {
  const absl::Status status = mesos_->Control(target);
  EXPECT_TRUE(status.ok()) << target << ": " << status;
}

void FrameworkTest::AwaitMesos(const std::function<bool(const Master&)>& holds) {
  const absl::Time deadline = absl::Now() + kPatience;
  bool held = false;
  while (!held && absl::Now() < deadline) {
    mesos_->Inspect([&](const Master& master) { held = holds(master); });
    std::this_thread::yield();
  }
  EXPECT_TRUE(held) << "the stand-in never is as is waited for";
}

void FrameworkTest::AwaitCalls(const std::string& type, int64_t calls) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (mesos_->counters().calls[type] < calls && absl::Now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_GE(mesos_->counters().calls[type], calls) << type;
}

void FrameworkTest::AwaitRefused(int64_t calls) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (mesos_->counters().refused[""] < calls && absl::Now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_GE(mesos_->counters().refused[""], calls);
}

std::vector<std::string> FrameworkTest::FrameworkIds() {
  std::vector<std::string> ids;
  mesos_->Inspect([&](const Master& master) {
    for (const auto& [id, framework] : master.frameworks()) ids.push_back(id);
  });
  return ids;
}

void FrameworkTest::AwaitNoTasks() {
  AwaitMesos([](const Master& master) {
    for (const auto& agent : master.all_agents()) {
      if (!agent->tasks().empty()) return false;
    }
    return true;
  });
}

std::string FrameworkTest::StoredId() const {
  std::ifstream file(options_.id_file);
  return std::string(absl::StripAsciiWhitespace(
      std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>())));
}

}  // namespace kartograph::stand_in
