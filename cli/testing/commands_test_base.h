// What the tests of the commands have in common: a fake service, and a context that talks to it.
#ifndef KARTOGRAPH_CLI_TESTING_COMMANDS_TEST_BASE_H_
#define KARTOGRAPH_CLI_TESTING_COMMANDS_TEST_BASE_H_

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/testing/fake_service.h"

namespace kartograph::cli {

class CommandsTestBase : public ::testing::Test {
 protected:
  CommandsTestBase() {
    context_.client = &client_;
    context_.out = &out_;
    context_.err = &err_;
  }

  static v1::Graph MakeGraph(const char* id, const char* name, v1::GraphState state) {
    v1::Graph graph;
    graph.set_graph_id(id);
    graph.mutable_spec()->set_name(name);
    graph.set_state(state);
    graph.mutable_submit_time()->set_seconds(1000);
    if (state != v1::GRAPH_STATE_RUNNING) graph.mutable_end_time()->set_seconds(1090);
    graph.mutable_counts()->set_total(2);
    return graph;
  }

  static v1::Task MakeTask(const char* name, v1::TaskState state, const char* reason) {
    v1::Task task;
    task.set_graph_id("g7");
    task.set_name(name);
    task.set_state(state);
    task.set_reason(reason);
    return task;
  }

  // A file of this text in a folder of this test alone.
  std::string WriteFile(const std::string& text) {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::string path = absl::StrCat(::testing::TempDir(), "/", test->name(), ".yaml");
    std::ofstream(path) << text;
    return path;
  }

  // What was printed as JSON, which must be one document of this message.
  template <typename Message>
  Message Json() {
    Message message;
    const auto status = google::protobuf::util::JsonStringToMessage(out_.str(), &message);
    EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << out_.str();
    return message;
  }

  // Between calls: sees all that the last one left.
  FakeService& service() {
    server_.service.WaitForCalls();
    return server_.service;
  }

  FakeServer server_;
  Client client_{ClientOptions{.address = server_.address()}};
  std::ostringstream out_;
  std::ostringstream err_;
  Context context_;
};

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_TESTING_COMMANDS_TEST_BASE_H_
