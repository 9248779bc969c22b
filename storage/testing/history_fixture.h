// What the tests of the run history share.
#ifndef KARTOGRAPH_STORAGE_TESTING_HISTORY_FIXTURE_H_
#define KARTOGRAPH_STORAGE_TESTING_HISTORY_FIXTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/history.h"
#include "storage/records.h"

namespace kartograph::storage {

// A new empty folder under the test's own, removed at the end.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string database() const { return path_ + "/history.db"; }

 private:
  std::string path_;
};

// Opens the folder's history, and fails the test where that fails.
History OpenIn(const TestFolder& folder);

// `seconds` after a fixed moment.
absl::Time At(double seconds);

// Records with every field set to something that is not its default.
GraphSubmitted SomeGraph(planner::GraphId graph, std::string name = "release");
GraphChanged EndOf(planner::GraphId graph, planner::GraphState state, absl::Time time);
TaskSubmitted SomeTask(planner::GraphId graph, planner::TaskIndex index, std::string name);
AttemptLaunched LaunchOf(planner::GraphId graph, planner::TaskIndex index, uint32_t number);
AttemptEnded AttemptEndOf(planner::GraphId graph, planner::TaskIndex index, uint32_t number,
                          planner::Outcome outcome, std::string return_value = "");
TaskEnded TaskEndOf(planner::GraphId graph, planner::TaskIndex index, planner::TaskState state,
                    double seconds = 100);
TaskReset ResetOf(planner::GraphId graph, planner::TaskIndex index, uint32_t attempts_before);
FinishedQueued DeliveryOf(int64_t delivery, planner::GraphId graph, planner::TaskIndex index,
                          std::string queue = "client");
FinishedAcknowledged AcknowledgementOf(int64_t delivery, std::string queue = "client");

// Every field of a record in one line; durations and times in microseconds.
std::string Describe(const GraphSubmitted& graph);
std::string Describe(const GraphChanged& graph);
std::string Describe(const TaskSubmitted& task);
std::string Describe(const AttemptLaunched& launched);
std::string Describe(const AttemptEnded& ended);
std::string Describe(const TaskEnded& ended);

// What a visitor is called with, one line per call.
class DescribingVisitor : public GraphVisitor {
 public:
  void OnGraph(const GraphSubmitted& graph, const GraphChanged& state) override;
  void OnTask(const TaskSubmitted& task, uint32_t attempts_before) override;
  void OnAttempt(const AttemptLaunched& launched, const AttemptEnded* ended) override;
  void OnTaskEnded(const TaskEnded& ended) override;

  std::vector<std::string> lines;
};

// Everything that the history of graphs 1 to `graphs` and this queue has, and the last ids.
std::vector<std::string> DescribeAll(History& history, planner::GraphId graphs,
                                     absl::string_view queue);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_TESTING_HISTORY_FIXTURE_H_
