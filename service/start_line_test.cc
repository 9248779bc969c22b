#include "service/start_line.h"

#include <gtest/gtest.h>

namespace kartograph::service {
namespace {

constexpr SteadyTime kReady = SteadyTime::FromSinceZero(absl::Hours(1));

TEST(StartLineTest, NamesTheAgentOnceTheServiceIsReady) {
  StartLine line;
  EXPECT_TRUE(line.OnAgent("agent 7 was started"));
  EXPECT_EQ(line.Take(SteadyTime::InfiniteFuture()), std::nullopt) << "it is not ready";
  line.Begin("serves", kReady);
  EXPECT_EQ(line.Take(kReady), "serves; agent 7 was started");
  EXPECT_EQ(line.Take(kReady + absl::Hours(1)), std::nullopt) << "there are two";
  EXPECT_FALSE(line.OnAgent("agent 8 was started"));
}

TEST(StartLineTest, WaitsForTheAgentButNotForLong) {
  StartLine line;
  line.Begin("serves", kReady);
  EXPECT_EQ(line.Take(kReady), std::nullopt);
  EXPECT_TRUE(line.OnAgent("agent 7 was started"));
  EXPECT_TRUE(line.OnAgent("agent 8 was started"));
  EXPECT_EQ(line.Take(kReady + absl::Milliseconds(1)), "serves; agent 8 was started");

  StartLine late;
  late.Begin("serves", kReady);
  EXPECT_EQ(late.Take(kReady + StartLine::kPatience - absl::Milliseconds(1)), std::nullopt);
  EXPECT_EQ(late.Take(kReady + StartLine::kPatience), "serves; no agent has connected yet");
  EXPECT_FALSE(late.OnAgent("agent 9 was found running"));

  StartLine stopped;
  stopped.Begin("serves", kReady);
  EXPECT_EQ(stopped.Take(SteadyTime::InfiniteFuture()), "serves; no agent has connected yet");
}

}  // namespace
}  // namespace kartograph::service
