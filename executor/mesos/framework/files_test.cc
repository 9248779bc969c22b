// With kartograph-executor on the agents: what it writes, returns and reports.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "executor/mesos/framework/testing/framework_fixture.h"
#include "executor/payload.pb.h"

namespace kartograph::stand_in {
namespace {

using executor::AttemptUpdate;
using executor::HostReport;
using executor::Launch;
using executor::LogChunk;
using executor::LogStream;
using planner::Outcome;
using testing::HasSubstr;

constexpr char kExecutor[] = "executor/mesos/executor/kartograph-executor";

class FilesTest : public FrameworkTest {
 protected:
  FilesTest() {
    settings_.real_tasks = true;
    settings_.work_dir = folder() + "/agents";
    options_.executors.path = std::filesystem::absolute(kExecutor).string();
    options_.executors.arguments = {"--report-interval=100ms"};
  }

  Launch Shell(const std::string& line, uint32_t task) {
    Launch launch = LaunchOn(kartograph().AwaitOffer().agent, "task", task);
    executor::Payload payload;
    payload.set_shell(line);
    launch.payload = payload.SerializeAsString();
    kartograph().cluster().Execute({launch});
    return launch;
  }
  absl::StatusOr<LogChunk> Read(const Launch& launch, LogStream stream, int64_t offset = 0,
                                int64_t max_bytes = 64 << 10) {
    return kartograph().ReadLog({launch.attempt, launch.agent, stream, offset, max_bytes});
  }
  // Until there is as much as that.
  LogChunk AwaitLog(const Launch& launch, size_t bytes) {
    for (const absl::Time end = absl::Now() + kPatience; absl::Now() < end;) {
      const auto chunk = Read(launch, LogStream::kStdout);
      if (chunk.ok() && chunk->data.size() >= bytes) return *chunk;
    }
    ADD_FAILURE() << "nothing is written";
    return {};
  }
};

TEST_F(FilesTest, LogsAreReadWhileItRunsAfterItsEndAndAfterARestart) {
  StartAll();
  const Launch launch = Shell("echo hello; echo wrong >&2; exec sleep 1000", 0);
  kartograph().AwaitRunning(launch.attempt);
  EXPECT_EQ(AwaitLog(launch, 6).data, "hello\n");
  const auto last = Read(launch, LogStream::kStdout, -3);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->offset, 3);
  EXPECT_EQ(last->data, "lo\n");
  const auto more = Read(launch, LogStream::kStdout, -100, 2);
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_EQ(more->offset, 0);
  EXPECT_EQ(more->data, "he");
  const auto end = Read(launch, LogStream::kStdout, 6);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->data, "");

  kartograph().cluster().Cancel(launch.attempt, launch.agent, absl::Seconds(30));
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kCancelled);
  EXPECT_EQ(Read(launch, LogStream::kStderr)->data, "wrong\n");
  kartograph().cluster().Acknowledge({launch.attempt});
  AwaitNoTasks();

  // Without an offer nothing is known of the agent and its executor.
  Control("/agent/0/drain");
  RestartKartograph();
  const auto found = Read(launch, LogStream::kStderr);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->data, "wrong\n");
}

TEST_F(FilesTest, OfALongLogTheBeginningAndTheEndAreRead) {
  options_.executors.arguments.push_back("--log-limit=65536");
  StartAll();
  const Launch launch = Shell("yes 1234567 | head -c 1000000; head -c 3 /dev/zero", 0);
  kartograph().AwaitEnd(launch.attempt);
  for (const int64_t part : {int64_t{1000}, int64_t{64} << 10}) {
    std::string log;
    for (int64_t offset = 0;;) {
      const auto chunk = Read(launch, LogStream::kStdout, offset, part);
      ASSERT_TRUE(chunk.ok()) << chunk.status();
      if (chunk->data.empty()) break;
      log += chunk->data;
      offset = chunk->offset + static_cast<int64_t>(chunk->data.size());
    }
    const size_t cut = log.find("\n[kartograph: ");
    ASSERT_EQ(cut, 32768u);
    EXPECT_LT(log.size(), 80000u);
    // Zeros that the task wrote are its own.
    EXPECT_EQ(log.find('\0'), log.size() - 3);
    EXPECT_EQ(log.find("[kartograph", cut + 2), std::string::npos);
  }
}

TEST_F(FilesTest, BlobsComeToTheAgentsThatReadThem) {
  options_.blob_folder = folder() + "/blobs";
  std::filesystem::create_directory(options_.blob_folder);
  const std::string content = std::string(2500000, 'x') + "the end";
  Sha256 digest;
  digest.Add(content);
  const std::string id = digest.Hex();
  std::ofstream(options_.blob_folder + "/" + id) << content;
  StartAll();
  executor::Payload payload;
  payload.set_shell("wc -c < $KARTOGRAPH_INPUT; tail -c 7 $KARTOGRAPH_BLOBS/*");
  payload.set_input_blob(id);
  payload.add_blobs(id);
  const executor::AgentId agent = kartograph().AwaitOffer().agent;
  const auto make = [&](uint32_t task) {
    Launch made = LaunchOn(agent, "task", task);
    made.payload = payload.SerializeAsString();
    return made;
  };
  const Launch first = make(0);
  kartograph().cluster().Execute({first});
  EXPECT_EQ(kartograph().AwaitEnd(first.attempt).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Read(first, LogStream::kStdout)->data, "2500007\nthe end");
  // One that is there is not asked for.
  std::filesystem::remove_all(options_.blob_folder);
  const Launch second = make(1);
  payload.set_input_blob(std::string(64, 'a'));
  const Launch third = make(2);
  // Of one offer: another one may be gone before it is used.
  ASSERT_EQ(kartograph().AwaitOffer().agent, agent);
  kartograph().cluster().Execute({second, third});
  EXPECT_EQ(kartograph().AwaitEnd(second.attempt).outcome, Outcome::kSucceeded);
  const AttemptUpdate missing = kartograph().AwaitEnd(third.attempt);
  EXPECT_EQ(missing.outcome, Outcome::kNotStarted);
  EXPECT_THAT(missing.message, HasSubstr("is not kept"));
}

TEST_F(FilesTest, LogsThatAreNotThereAreNotFound) {
  StartAll();
  const Launch launch = Shell("true", 0);
  kartograph().AwaitEnd(launch.attempt);
  Launch other = launch;
  other.attempt = AttemptOf(5);
  EXPECT_EQ(Read(other, LogStream::kStdout).status().code(), absl::StatusCode::kNotFound);
  other.agent = "no-such-agent";
  EXPECT_EQ(Read(other, LogStream::kStdout).status().code(), absl::StatusCode::kNotFound);
  Control("/agent/0/partition");
  EXPECT_EQ(Read(launch, LogStream::kStdout).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(FilesTest, TheEndOfAnotherHistorysAttemptIsAcknowledgedAndNotTold) {
  options_.lineage = {"h", {11}};
  StartAll();
  const std::string wait =
      absl::StrCat("while [ ! -e ", folder(), "/go ]; do sleep 0.01; done; exit 3");
  const Launch launch = Shell(wait, 0);
  kartograph().AwaitRunning(launch.attempt);
  // An older copy of the history, made before the launch.
  options_.lineage = {"h", {22}};
  RestartKartograph();
  std::ofstream(folder() + "/go") << "go";
  AwaitNoTasks();
  const auto ended = [](const executor::AttemptUpdate& update) {
    return update.outcome != Outcome::kNone;
  };
  EXPECT_FALSE(kartograph().Has<executor::AttemptUpdate>(ended));
  // The master's answer that the other one runs, which it gives without the incarnation.
  kartograph().Forget();
  Control("/rescind");
  // What it has launched itself is reported to it, after a restart too.
  const Launch own =
      Shell(absl::StrCat("while [ ! -e ", folder(), "/go-on ]; do sleep 0.01; done; exit 4"), 0);
  kartograph().AwaitRunning(own.attempt);
  options_.lineage = {"h", {22, 33}};
  RestartKartograph();
  std::ofstream(folder() + "/go-on") << "go on";
  EXPECT_EQ(kartograph().AwaitEnd(own.attempt).exit_status, 4);
}

TEST_F(FilesTest, ALargeReturnValueComesByFile) {
  StartAll();
  const Launch launch = Shell("head -c 600000 /dev/zero | tr '\\0' x > $KARTOGRAPH_RESULT", 0);
  const AttemptUpdate end = kartograph().AwaitEnd(launch.attempt);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message;
  EXPECT_EQ(end.return_value, std::string(600000, 'x'));
}

TEST_F(FilesTest, AnExecutorThatDoesNotStartIsItsAgentsFailure) {
  uint32_t task = 0;
  // What is not there, and what ends before it can run anything.
  for (const std::string program : {"/no/such/executor", "/bin/false"}) {
    options_.executors.path = program;
    StartAll();
    const Launch launch = Shell("true", task++);
    const AttemptUpdate end = kartograph().AwaitEnd(launch.attempt);
    EXPECT_EQ(end.outcome, Outcome::kAgentFailed) << end.message;
    EXPECT_THAT(end.message, HasSubstr("its executor"));
  }
}

TEST_F(FilesTest, ALargeReturnValueComesThoughTheAgentsFilesAreClosedToUs) {
  StartAll();
  Control("/agent/0/hide_files?status=403");
  const Launch launch = Shell("head -c 3000000 /dev/zero | tr '\\0' x > $KARTOGRAPH_RESULT", 0);
  const AttemptUpdate end = kartograph().AwaitEnd(launch.attempt);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message;
  EXPECT_EQ(end.return_value, std::string(3000000, 'x'));
}

TEST_F(FilesTest, WhereNobodyMayReadTheReturnValueTheAttemptFailsAtOnce) {
  options_.values.ask_again = absl::Milliseconds(20);
  StartAll();
  Control("/agent/0/lose_messages");
  for (const std::string status : {"401", "403"}) {
    Control("/agent/0/hide_files?status=" + status);
    const Launch launch =
        Shell("head -c 600000 /dev/zero > $KARTOGRAPH_RESULT", status == "401" ? 0 : 1);
    const AttemptUpdate end = kartograph().AwaitEnd(launch.attempt);
    EXPECT_TRUE(planner::SpendsAttempt(end.outcome)) << planner::ToString(end.outcome);
    EXPECT_THAT(end.message, HasSubstr("does not let us read"));
    EXPECT_THAT(end.message, HasSubstr("answers " + status));
    EXPECT_THAT(end.message, HasSubstr("--mesos-principal"));
    kartograph().cluster().Acknowledge({launch.attempt});
  }
}

TEST_F(FilesTest, ACancelEndsTheReadingOfAReturnValue) {
  options_.values.ask_again = absl::Milliseconds(20);
  StartAll();
  Control("/agent/0/lose_messages");
  Control("/agent/0/hide_files");
  const Launch launch = Shell("head -c 600000 /dev/zero > $KARTOGRAPH_RESULT", 0);
  const AttemptUpdate waits = kartograph().Await<AttemptUpdate>([](const AttemptUpdate& update) {
    return absl::StrContains(update.message, "return value") &&
           absl::StrContains(update.message, "503");
  });
  EXPECT_EQ(waits.outcome, Outcome::kNone);
  kartograph().cluster().Cancel(launch.attempt, launch.agent, absl::Seconds(10));
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kCancelled);
  kartograph().cluster().Acknowledge({launch.attempt});
  AwaitNoTasks();
}

TEST_F(FilesTest, AnEndIsNotToldBeforeItsReturnValueCanBeRead) {
  options_.values.ask_again = absl::Milliseconds(20);
  StartAll();
  Control("/agent/0/lose_messages");
  const std::string gate = folder() + "/gate";
  const Launch launch =
      Shell("until test -e " + gate +
                "; do sleep 0.01; done; head -c 600000 /dev/zero > $KARTOGRAPH_RESULT",
            0);
  kartograph().AwaitRunning(launch.attempt);
  Control("/agent/0/hide_files");
  std::filesystem::create_directory(gate);
  AwaitMesos([](const Master& master) {
    const auto& tasks = master.all_agents()[0]->tasks();
    return !tasks.empty() && IsTerminal(tasks.begin()->second->state);
  });
  for (int i = 0; i < 3; ++i) {
    Control("/resend_updates");
    kartograph().Reconcile(launch);
  }
  Control("/agent/0/hide_files?on=0");
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).return_value.size(), 600000u);
}

TEST_F(FilesTest, AReturnValueThatIsLostIsAnAttemptThatIsLost) {
  StartAll();
  const Launch launch = Shell("head -c 600000 /dev/zero > $KARTOGRAPH_RESULT", 0);
  kartograph().AwaitEnd(launch.attempt);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(settings_.work_dir)) {
    if (entry.is_regular_file() && entry.file_size() == 600000) {
      std::filesystem::resize_file(entry.path(), 10);
    }
  }
  RestartKartograph();
  kartograph().Reconcile(launch);
  Control("/resend_updates");
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kLost);
}

TEST_F(FilesTest, HostsTellOfThemselves) {
  StartAll();
  const Launch launch = Shell("exec sleep 1000", 0);
  const HostReport report = kartograph().Await<HostReport>();
  EXPECT_EQ(report.agent, launch.agent);
  EXPECT_GT(report.cpus, 0);
  EXPECT_GT(report.ram_bytes, 0u);
}

TEST_F(FilesTest, TheSandboxesOfAPrunedGraphGo) {
  StartAll();
  const Launch launch = Shell("echo hello", 0);
  kartograph().AwaitEnd(launch.attempt);
  kartograph().cluster().Acknowledge({launch.attempt});
  ASSERT_TRUE(Read(launch, LogStream::kStdout).ok());
  kartograph().cluster().Discard(launch.attempt.task().graph());
  for (const absl::Time end = absl::Now() + kPatience;
       Read(launch, LogStream::kStdout).ok() && absl::Now() < end;) {
  }
  EXPECT_EQ(Read(launch, LogStream::kStdout).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace kartograph::stand_in
