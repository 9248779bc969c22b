// What attempts are given to read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "executor/payload.pb.h"
#include "executor/runner/runner.h"
#include "executor/runner/testing/runner_fixture.h"

namespace kartograph::executor {
namespace {

using planner::Outcome;

TEST_F(RunnerTest, FindsItsInputInAFile) {
  const std::string content("a\0b\n", 4);
  Payload payload;
  payload.set_shell("echo $KARTOGRAPH_INPUT; cat $KARTOGRAPH_INPUT; echo ${KARTOGRAPH_BLOBS-none}");
  payload.set_input(content);
  EXPECT_EQ(Run(WithPayload(0, payload)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(0), absl::StrCat(options_.sandbox_root, "/17/0.1/input\n", content, "none\n"));
  payload.set_input(std::string(1 << 20, 'x'));
  payload.set_shell("wc -c < $KARTOGRAPH_INPUT");
  EXPECT_EQ(Run(WithPayload(1, payload)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(1), "1048576\n");
  // What the one before had is not there for the next.
  EXPECT_EQ(Run(Shell(2, "echo ${KARTOGRAPH_INPUT-none}; ls input")).outcome, Outcome::kExited);
  EXPECT_EQ(Stdout(2), "none\n");
}

TEST_F(RunnerTest, FindsItsInputInASandboxMadeBefore) {
  runner().Prepare(Id(0));
  Payload payload;
  payload.set_shell("cat input");
  payload.set_input("content");
  EXPECT_EQ(Run(WithPayload(0, payload)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(0), "content");
}

TEST_F(RunnerTest, FindsBlobsWhereTheyAre) {
  options_.blob_folder = File("blobs");
  std::filesystem::create_directory(options_.blob_folder);
  std::ofstream(options_.blob_folder + "/b1") << "one\n";
  std::ofstream(options_.blob_folder + "/b2") << "two\n";
  Payload payload;
  payload.set_shell("cat $KARTOGRAPH_INPUT $KARTOGRAPH_BLOBS/b2; echo $KARTOGRAPH_INPUT");
  payload.set_input_blob("b1");
  payload.add_blobs("b2");
  EXPECT_EQ(Run(WithPayload(0, payload)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(0), absl::StrCat("one\ntwo\n", options_.blob_folder, "/b1\n"));
  payload.add_blobs("b3");
  const AttemptUpdate missing = Run(WithPayload(1, payload));
  EXPECT_EQ(missing.outcome, Outcome::kNotStarted);
  EXPECT_EQ(missing.message, "the blob b3 is not here (any more): put it again, and retry");
  payload.set_input_blob("../token");
  EXPECT_EQ(Run(WithPayload(2, payload)).message, "the id of a blob must not hold a slash");
}

TEST_F(RunnerTest, FindsWhatTasksBeforeItHaveReturned) {
  Launch launch = Shell(0, "cd $KARTOGRAPH_INPUTS; ls; cat stage%2Fone; wc -c < %2E%2E");
  launch.values = {{"stage/one", "value\n"}, {"..", ""}, {"a.b", "x"}};
  EXPECT_EQ(Run(launch).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(0), "%2E%2E\na.b\nstage%2Fone\nvalue\n0\n");
  launch = Shell(1, "ls $KARTOGRAPH_INPUTS; echo none");
  launch.values.emplace();
  EXPECT_EQ(Run(launch).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(1), "none\n");
}

TEST_F(RunnerTest, ReadsThemElsewhereWhereTheyCannotBeFiles) {
  const std::string line = "echo ${KARTOGRAPH_INPUTS-none}";
  Launch launch = Shell(0, line);
  launch.values = {{"a", "value"}, {std::string(250, '/'), "value"}};
  EXPECT_EQ(Run(launch).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(0), "none\n");
  EXPECT_EQ(Run(Shell(1, line)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(1), "none\n");
}

TEST_F(RunnerTest, WithoutAFolderThereAreNoBlobs) {
  Payload payload;
  payload.set_shell("true");
  payload.set_input_blob("b1");
  EXPECT_EQ(Run(WithPayload(0, payload)).outcome, Outcome::kNotStarted);
}

}  // namespace
}  // namespace kartograph::executor
