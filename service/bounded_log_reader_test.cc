#include "service/bounded_log_reader.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/testing/manual_clock.h"

namespace kartograph::service {
namespace {

// Agents, one of which does not answer.
class SilentAgents : public executor::LogReader {
 public:
  void ReadLog(const executor::LogRequest& request,
               std::function<void(absl::StatusOr<executor::LogChunk>)> done) override {
    {
      std::lock_guard lock(mutex_);
      ++reads_[request.agent];
      if (request.agent == "dead") {
        kept_.push_back(std::move(done));
        return;
      }
    }
    done(executor::LogChunk{.offset = 0, .data = "words"});
  }
  int reads(const std::string& agent) {
    std::lock_guard lock(mutex_);
    return reads_[agent];
  }
  void Answer() {
    std::vector<std::function<void(absl::StatusOr<executor::LogChunk>)>> kept;
    {
      std::lock_guard lock(mutex_);
      kept.swap(kept_);
    }
    for (const auto& done : kept) done(executor::LogChunk{.offset = 0, .data = "late"});
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int> reads_;
  std::vector<std::function<void(absl::StatusOr<executor::LogChunk>)>> kept_;
};

TEST(BoundedLogReaderTest, ASilentAgentHoldsFewReadsAndKeepsNoOtherWaiting) {
  SilentAgents agents;
  kartograph::testing::ManualClock clock;
  BoundedLogReader reader({.in_flight = 2, .queued = 1, .clock = &clock}, &agents);
  std::vector<absl::StatusOr<executor::LogChunk>> answers;
  const auto read = [&](const std::string& agent) {
    reader.ReadLog({.attempt = {}, .agent = agent}, [&](absl::StatusOr<executor::LogChunk> chunk) {
      answers.push_back(std::move(chunk));
    });
  };
  for (int i = 0; i < 4; ++i) read("dead");
  EXPECT_EQ(agents.reads("dead"), 2);
  ASSERT_EQ(answers.size(), 1u) << "one too many";
  EXPECT_TRUE(absl::IsResourceExhausted(answers[0].status()));
  read("well");
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1]->data, "words");
  // What had its time makes room, whether it was answered or not.
  clock.Advance(absl::Seconds(11));
  read("dead");
  EXPECT_EQ(agents.reads("dead"), 3);
  agents.Answer();
  agents.Answer();
  EXPECT_EQ(answers.size(), 6u) << "every read is answered once";
}

}  // namespace
}  // namespace kartograph::service
