// What an attempt costs on a Mesos agent: /bin/true through the executor, two at a time, with an
// agent in the same process and thread that answers at once. runner_bench shows what of it is the
// start of a process.
//
//   executor_driver_bench [TASKS] [FOLDER]
//
// FOLDER (default /tmp) takes the sandboxes; one in memory (/dev/shm) leaves the file system out.
#include <stdlib.h>

#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/mesos/executor/executor_driver.h"
#include "executor/mesos/executor/testing/fake_agent.h"
#include "executor/payload.pb.h"
#include "executor/wire/attempt.h"

namespace kartograph::executor::mesos {
namespace {

constexpr uint32_t kAtATime = 2;

FakeAgent::Event LaunchEvent(uint32_t index) {
  Payload payload;
  payload.add_arguments("/bin/true");
  Launch launch;
  launch.attempt = planner::AttemptId::Of(planner::TaskKey::Of(1, index), 1);
  launch.payload = payload.SerializeAsString();
  wire::Launch message;
  wire::ToMessage(launch, &message);
  FakeAgent::Event event;
  event.set_type(FakeAgent::Event::LAUNCH);
  kartograph::mesos::TaskInfo* task = event.mutable_launch()->mutable_task();
  task->mutable_task_id()->set_value(planner::AttemptIdToString(launch.attempt));
  task->set_data(message.SerializeAsString());
  return event;
}

int Main(int argc, char** argv) {
  const uint32_t tasks = argc > 1 ? static_cast<uint32_t>(atoi(argv[1])) : 5000;
  std::string folder = absl::StrCat(argc > 2 ? argv[2] : "/tmp", "/executor_driver_bench.XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) return 1;
  boost::asio::io_context io(1);
  FakeAgent agent(io);
  ExecutorDriver::Options options;
  options.environment.sandbox = folder;
  options.environment.agent = {false, "127.0.0.1", agent.port(), "/api/v1/executor"};
  options.environment.framework_id = "f";
  options.environment.executor_id = "e";
  auto executor = ExecutorDriver::Create(io, options, [](int, const std::string&) {});
  if (!executor.ok()) {
    fprintf(stderr, "%s\n", executor.status().ToString().c_str());
    return 1;
  }
  while (!agent.connected()) io.run_one();

  uint32_t launched = 0;
  const absl::Time begin = absl::Now();
  const clock_t cpu = clock();
  while (agent.ended() < tasks) {
    while (launched < tasks && launched - agent.ended() < kAtATime) {
      agent.Send({LaunchEvent(launched++)});
    }
    io.run_one();
  }
  const double wall_us = absl::ToDoubleMicroseconds(absl::Now() - begin) / tasks;
  const double cpu_us = 1e6 * static_cast<double>(clock() - cpu) / CLOCKS_PER_SEC / tasks;
  printf("%u tasks, %u at a time: %.0f a second, %.1f us each, %.1f us of this process\n", tasks,
         kAtATime, 1e6 / wall_us, wall_us, cpu_us);
  *executor = nullptr;
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace kartograph::executor::mesos

int main(int argc, char** argv) { return kartograph::executor::mesos::Main(argc, argv); }
