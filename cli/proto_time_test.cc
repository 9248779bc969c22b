#include "cli/proto_time.h"

#include <gtest/gtest.h>

namespace kartograph::cli {
namespace {

TEST(ProtoTimeTest, ConvertsToTheContractAndBack) {
  const absl::Duration duration = absl::Seconds(90) + absl::Milliseconds(250);
  EXPECT_EQ(ToProto(duration).seconds(), 90);
  EXPECT_EQ(ToProto(duration).nanos(), 250000000);
  EXPECT_EQ(FromProto(ToProto(duration)), duration);
}

}  // namespace
}  // namespace kartograph::cli
