#include "executor/local/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "base/descriptor.h"
#include "executor/local/protocol.h"

namespace kartograph::executor::local {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr size_t kBound = 1 << 20;

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() { Connect(); }

  void Connect() {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    near_ = Descriptor(ends[0]);
    far_ = Descriptor(ends[1]);
    reader_ = FrameReader();
    outbox_.Connect(near_.get());
  }
  static ToAgent Launches(uint64_t attempt, size_t bytes = 0) {
    ToAgent message;
    wire::Launch* launch = message.add_launches();
    launch->set_attempt(attempt);
    launch->set_payload(std::string(bytes, 'x'));
    return message;
  }
  static ToAgent Cancels(uint64_t attempt, int64_t grace) {
    ToAgent message;
    message.add_cancels()->set_attempt(attempt);
    message.mutable_cancels(0)->set_grace_ns(grace);
    return message;
  }
  static ToAgent Acknowledges(uint64_t attempt) {
    ToAgent message;
    message.add_acknowledged(attempt);
    return message;
  }
  // Launches until it is full; the attempts that it took.
  std::vector<uint64_t> Fill() {
    std::vector<uint64_t> taken;
    for (uint64_t attempt = 100; !outbox_.full(); ++attempt) {
      outbox_.Put(Launches(attempt, 100'000));
      taken.push_back(attempt);
    }
    return taken;
  }
  // All that the agent gets, once it reads.
  std::vector<ToAgent> ReadAll() {
    std::vector<ToAgent> messages;
    while (true) {
      outbox_.Flush();
      EXPECT_TRUE(reader_.ReadFrom(far_.get()));
      ToAgent message;
      bool any = false;
      for (absl::StatusOr<bool> got = true; got.ok() && *got;) {
        got = reader_.Next(&message);
        EXPECT_TRUE(got.ok());
        if (!got.ok() || !*got) break;
        messages.push_back(message);
        any = true;
      }
      if (!any && !outbox_.waiting()) return messages;
    }
  }

  Descriptor near_, far_;
  FrameReader reader_;
  Outbox outbox_{kBound};
};

std::vector<uint64_t> Dropped(Outbox* outbox) {
  std::vector<uint64_t> attempts;
  for (const planner::AttemptId attempt : outbox->TakeDropped()) attempts.push_back(attempt.value);
  return attempts;
}

TEST_F(OutboxTest, SendsInOrder) {
  EXPECT_TRUE(outbox_.Put(Launches(1)));
  EXPECT_TRUE(outbox_.Put(Cancels(1, 5)));
  EXPECT_FALSE(outbox_.waiting());
  const std::vector<ToAgent> got = ReadAll();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].launches(0).attempt(), 1u);
  EXPECT_EQ(got[1].cancels(0).attempt(), 1u);
}

TEST_F(OutboxTest, SaysWhenSomebodyHasToWaitForTheSocket) {
  EXPECT_FALSE(outbox_.Put(Launches(1, kBound)));
  EXPECT_TRUE(outbox_.waiting());
  EXPECT_TRUE(outbox_.Put(Launches(2))) << "it waits for it already";
}

TEST_F(OutboxTest, BeyondItsBoundLaunchesAreDroppedAndTheRestIsKept) {
  const std::vector<uint64_t> taken = Fill();
  const size_t bytes = outbox_.bytes();
  EXPECT_FALSE(outbox_.Put(Launches(1))) << "there is something to report";
  EXPECT_TRUE(outbox_.Put(Cancels(taken[0], 5)));
  EXPECT_TRUE(outbox_.Put(Cancels(taken[0], 7)));
  EXPECT_TRUE(outbox_.Put(Acknowledges(2)));
  EXPECT_TRUE(outbox_.Put(Acknowledges(2)));
  EXPECT_EQ(outbox_.bytes(), bytes);
  EXPECT_THAT(Dropped(&outbox_), ElementsAre(1));
  EXPECT_THAT(Dropped(&outbox_), IsEmpty());

  const std::vector<ToAgent> got = ReadAll();
  ASSERT_EQ(got.size(), taken.size() + 1);
  for (size_t i = 0; i < taken.size(); ++i) EXPECT_EQ(got[i].launches(0).attempt(), taken[i]);
  ASSERT_EQ(got.back().cancels_size(), 1);
  EXPECT_EQ(got.back().cancels(0).grace_ns(), 7) << "the newest";
  EXPECT_THAT(got.back().acknowledged(), ElementsAre(2));
}

TEST_F(OutboxTest, QuestionsPassTheBound) {
  Fill();
  ToAgent message = Launches(1);
  message.add_asked(3);
  outbox_.Put(message);
  const ToAgent last = ReadAll().back();
  EXPECT_THAT(last.asked(), ElementsAre(3));
  EXPECT_TRUE(last.launches().empty());
}

TEST_F(OutboxTest, WithoutAConnectionLaunchesAreDroppedAndTheRestIsKept) {
  outbox_.Disconnect();
  outbox_.Put(Launches(1));
  outbox_.Put(Cancels(2, 5));
  outbox_.Put(Acknowledges(3));
  EXPECT_THAT(Dropped(&outbox_), ElementsAre(1));
  Connect();
  const std::vector<ToAgent> got = ReadAll();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].cancels(0).attempt(), 2u);
  EXPECT_THAT(got[0].acknowledged(), ElementsAre(3));
}

TEST_F(OutboxTest, WhatWasNotSentWhollyIsDroppedWithItsConnection) {
  EXPECT_TRUE(outbox_.Put(Launches(1)));
  outbox_.Put(Launches(2, kBound));
  outbox_.Put(Launches(3));
  EXPECT_FALSE(outbox_.Disconnect().empty());
  EXPECT_THAT(Dropped(&outbox_), UnorderedElementsAre(2, 3));
  Connect();
  EXPECT_TRUE(outbox_.Put(Launches(4)));
  outbox_.Disconnect();
  EXPECT_THAT(Dropped(&outbox_), IsEmpty());
}

}  // namespace
}  // namespace kartograph::executor::local
