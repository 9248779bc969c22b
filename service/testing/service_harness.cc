#include "service/testing/service_harness.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "executor/payload.pb.h"

namespace kartograph::service {
namespace {

std::string FreshFolder() {
  std::string path = absl::StrCat(testing::TempDir(), "/service.XXXXXX");
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  return path;
}

}  // namespace

ServiceHarness::ServiceHarness(scheduler::SchedulerOptions options) {
  const std::string folder = FreshFolder();
  // What survives a crash is storage's to test; here the disk only takes time.
  auto opened =
      storage::OpenHistory({.path = absl::StrCat(folder, "/history.sqlite"), .durable = false});
  EXPECT_TRUE(opened.ok()) << opened.status();
  history = *std::move(opened);
  auto started = scheduler::Scheduler::Start(std::move(options), history.writer.get(),
                                             history.long_reader.get(), &cluster);
  EXPECT_TRUE(started.ok()) << started.status();
  scheduler = *std::move(started);
  workers = std::make_unique<WorkerPool>(4);
  log_workers = std::make_unique<WorkerPool>(4);
  auto store = BlobStore::Open({.folder = absl::StrCat(folder, "/blobs"), .disk_reserve = 0});
  EXPECT_TRUE(store.ok()) << store.status();
  blobs = *std::move(store);
  blob_workers = std::make_unique<WorkerPool>(2);
  queries = std::make_unique<Queries>(
      Queries::Options{
          .version = "1.2.3", .start_time = absl::FromUnixSeconds(1000), .owner = kOwner},
      scheduler.get(), history.reader, &cluster);
  hub = std::make_unique<ChangeHub>(scheduler.get(), workers.get());
  users = *Users::Open({.file = absl::StrCat(folder, "/users"), .owner = kOwner, .token = kToken});
  parts.users = users.get();
  parts.scheduler = scheduler.get();
  parts.logs = &cluster;
  parts.queries = queries.get();
  parts.hub = hub.get();
  parts.workers = workers.get();
  parts.log_workers = log_workers.get();
  parts.blobs = blobs.get();
  parts.blob_workers = blob_workers.get();
}

ServiceHarness::~ServiceHarness() {
  StopScheduler();
  workers->Stop();
  log_workers->Stop();
  blob_workers->Stop();
}

void ServiceHarness::StopScheduler() {
  scheduler->Stop(false);
  hub->Stop();
}

planner::GraphId ServiceHarness::Submit(const std::string& name,
                                        const std::vector<std::string>& tasks,
                                        const std::string& queue) {
  executor::Payload payload;
  payload.add_arguments("true");
  scheduler::GraphSubmission graph;
  graph.name = name;
  graph.client_queue = queue;
  for (const std::string& text : tasks) {
    const std::vector<std::string> words = absl::StrSplit(text, ' ');
    scheduler::TaskSubmission& task = graph.tasks.emplace_back();
    task.name = words[0];
    task.payload = payload.SerializeAsString();
    task.consumption.Set(planner::Resource::Cpu(), planner::Quantity::Of(1));
    if (words.size() > 1) task.after = absl::StrSplit(words[1], ',');
  }
  absl::Notification answered;
  absl::StatusOr<scheduler::Reply> made;
  scheduler->Submit(scheduler::SubmitGraph{"", scheduler::Prepare(std::move(graph))},
                    [&](absl::StatusOr<scheduler::Reply> reply) {
                      made = std::move(reply);
                      answered.Notify();
                    });
  answered.WaitForNotification();
  EXPECT_TRUE(made.ok()) << made.status();
  return made->graph();
}

void ServiceHarness::WaitForState(planner::GraphId graph, planner::GraphState state) {
  v1::GetGraphRequest request;
  request.set_graph_id(planner::GraphIdToString(graph));
  Eventually([&] {
    const auto answer = queries->GetGraph(request);
    return answer.ok() && answer->state() == static_cast<v1::GraphState>(state);
  });
}

void ServiceHarness::WaitForTask(planner::GraphId graph, const std::string& task,
                                 v1::TaskState state) {
  v1::GetTaskRequest request;
  request.set_graph_id(planner::GraphIdToString(graph));
  request.set_task_name(task);
  Eventually([&] {
    const auto answer = queries->GetTask(request);
    return answer.ok() && answer->state() == state;
  });
}

void ServiceHarness::Eventually(const std::function<bool()>& holds) {
  while (!holds()) absl::SleepFor(absl::Milliseconds(2));
}

}  // namespace kartograph::service
