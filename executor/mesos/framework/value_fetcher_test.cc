#include "executor/mesos/framework/value_fetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/manual_clock.h"

namespace kartograph::executor::mesos {
namespace {

using planner::AttemptId;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const ValueFetcher::Place kHere = {"agent-1", "executor-1"};

AttemptId Attempt(uint32_t task) { return AttemptId::Of(planner::TaskKey::Of(1, task), 1); }

kartograph::mesos::ValuePart Part(AttemptId attempt, int64_t offset, const std::string& data) {
  kartograph::mesos::ValuePart part;
  part.set_attempt(attempt.value);
  part.set_offset(offset);
  part.set_data(data);
  return part;
}

class ValueFetcherTest : public ::testing::Test {
 protected:
  // The offsets that are asked for now.
  std::vector<int64_t> Asked() {
    std::vector<int64_t> offsets;
    for (const ValueFetcher::Request& request : fetcher_.TakeRequests()) {
      EXPECT_EQ(request.to, kHere);
      offsets.push_back(request.request.offset());
    }
    return offsets;
  }

  testing::ManualClock clock_;
  ValueFetcher fetcher_{{.max_at_once = 2, .clock = &clock_}};
};

TEST_F(ValueFetcherTest, AValueComesInParts) {
  fetcher_.Add(Attempt(0), kHere, 7);
  EXPECT_THAT(Asked(), ElementsAre(0));
  EXPECT_THAT(Asked(), IsEmpty());
  fetcher_.Receive(kHere, Part(Attempt(0), 0, "abc"));
  fetcher_.Receive(kHere, Part(Attempt(0), 0, "abc"));
  EXPECT_THAT(Asked(), ElementsAre(3));
  fetcher_.Receive(kHere, Part(Attempt(0), 3, "defg and more"));
  const std::vector<ValueFetcher::Done> done = fetcher_.TakeDone();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].attempt, Attempt(0));
  EXPECT_EQ(*done[0].value, "abcdefg");
  EXPECT_FALSE(fetcher_.Contains(Attempt(0)));
  EXPECT_EQ(fetcher_.NextRequest(), SteadyTime::InfiniteFuture());
}

TEST_F(ValueFetcherTest, WhatNobodyAskedForIsIgnored) {
  fetcher_.Add(Attempt(0), kHere, 3);
  Asked();
  fetcher_.Receive({"agent-2", "executor-1"}, Part(Attempt(0), 0, "abc"));
  fetcher_.Receive(kHere, Part(Attempt(1), 0, "abc"));
  fetcher_.Receive(kHere, Part(Attempt(0), 2, "c"));
  fetcher_.Receive(kHere, Part(Attempt(0), 0, ""));
  EXPECT_THAT(fetcher_.TakeDone(), IsEmpty());
}

TEST_F(ValueFetcherTest, ALostPartIsAskedForAgainAndSilenceEndsIt) {
  fetcher_.Add(Attempt(0), kHere, 6);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Asked(), ElementsAre(0));
    EXPECT_EQ(fetcher_.NextRequest(), clock_.SteadyNow() + absl::Seconds(5));
    clock_.Advance(absl::Seconds(5));
  }
  fetcher_.Receive(kHere, Part(Attempt(0), 0, "abc"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Asked(), ElementsAre(3));
    clock_.Advance(absl::Seconds(5));
  }
  EXPECT_THAT(Asked(), IsEmpty());
  const std::vector<ValueFetcher::Done> done = fetcher_.TakeDone();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(done[0].value.status()));
}

TEST_F(ValueFetcherTest, AnExecutorThatHasNothingOrEndsIsNotAskedAgain) {
  fetcher_.Add(Attempt(0), kHere, 6);
  fetcher_.Add(Attempt(1), kHere, 6);
  Asked();
  kartograph::mesos::ValuePart none = Part(Attempt(0), 0, "");
  none.set_not_kept(true);
  fetcher_.Receive(kHere, none);
  fetcher_.OnEnded({"agent-1", "executor-2"});
  fetcher_.OnEnded(kHere);
  const std::vector<ValueFetcher::Done> done = fetcher_.TakeDone();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_TRUE(absl::IsNotFound(done[0].value.status()));
  EXPECT_TRUE(absl::IsUnavailable(done[1].value.status()));
}

TEST_F(ValueFetcherTest, SomeAreFetchedAtOnceAndTheOthersAfterThem) {
  for (uint32_t i = 0; i < 3; ++i) fetcher_.Add(Attempt(i), kHere, 1);
  EXPECT_EQ(Asked().size(), 2u);
  fetcher_.Remove(Attempt(0));
  EXPECT_EQ(Asked().size(), 1u);
  EXPECT_THAT(fetcher_.TakeDone(), IsEmpty());
}

}  // namespace
}  // namespace kartograph::executor::mesos
