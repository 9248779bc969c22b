#include "base/duration.h"

#include <gtest/gtest.h>

namespace kartograph {
namespace {

TEST(DurationTest, ReadsEveryWayOfWritingADuration) {
  EXPECT_EQ(*ParseDuration("30"), absl::Seconds(30));
  EXPECT_EQ(*ParseDuration("30s"), absl::Seconds(30));
  EXPECT_EQ(*ParseDuration("500ms"), absl::Milliseconds(500));
  EXPECT_EQ(*ParseDuration("5m"), absl::Minutes(5));
  EXPECT_EQ(*ParseDuration("1h30m"), absl::Minutes(90));
  EXPECT_EQ(*ParseDuration("2d"), absl::Hours(48));
  EXPECT_EQ(*ParseDuration("1.5h"), absl::Minutes(90));
  EXPECT_EQ(*ParseDuration("0.25"), absl::Milliseconds(250));
  EXPECT_EQ(*ParseDuration("1d2h3m4s5ms"),
            absl::Hours(26) + absl::Minutes(3) + absl::Seconds(4) + absl::Milliseconds(5));
  EXPECT_EQ(*ParseDuration("0"), absl::ZeroDuration());
  EXPECT_EQ(*ParseDuration("3652500d"), kMaxDuration);
}

TEST(DurationTest, RefusesWhatIsNoDuration) {
  for (const char* text : {"", "s", "-1s", "+1s", "1x", "1h30", "30m1h", "1s1s", "1 s", " 1s",
                           "1..2s", "inf", "nan", "1e3", "0x10", "soon", ".", "1S"}) {
    EXPECT_EQ(ParseDuration(text).status().message(),
              "is not a valid duration; use one such as 30s, 500ms, 5m, 1h30m or 2d")
        << text;
  }
  for (const char* text : {"99999999999999d", "3652501d"}) {
    EXPECT_EQ(ParseDuration(text).status().message(),
              "is too long; the longest duration is 3652500d");
  }
}

TEST(DurationTest, WritesSettingsAsTheyAreGiven) {
  for (const char* text : {"0s", "10ms", "0.5ms", "1s", "1.5s", "59.999s", "1m", "5m", "1m0.25s",
                           "1h", "1h30m", "1h1s", "2d", "2d3h4m5.006s", "3652500d"}) {
    EXPECT_EQ(FormatSetting(*ParseDuration(text)), text);
  }
  EXPECT_EQ(FormatSetting(*ParseDuration("90")), "1m30s");
  EXPECT_EQ(FormatSetting(*ParseDuration("1500ms")), "1.5s");
  EXPECT_EQ(FormatSetting(absl::Seconds(-5)), "0s");
}

TEST(DurationTest, WritesDurationsForPeople) {
  EXPECT_EQ(FormatElapsed(absl::Milliseconds(320)), "0.3 s");
  EXPECT_EQ(FormatElapsed(absl::Milliseconds(9949)), "9.9 s");
  EXPECT_EQ(FormatElapsed(absl::Milliseconds(9999)), "10 s");
  EXPECT_EQ(FormatElapsed(absl::Seconds(185)), "3 min 05 s");
  EXPECT_EQ(FormatElapsed(absl::Minutes(127)), "2 h 07 min");
  EXPECT_EQ(FormatElapsed(absl::Hours(76)), "3 d 04 h");
  EXPECT_EQ(FormatElapsed(absl::Seconds(-5)), "0.0 s");
  EXPECT_EQ(FormatClock(absl::Seconds(42)), "0:42");
  EXPECT_EQ(FormatClock(absl::Seconds(185)), "3:05");
  EXPECT_EQ(FormatClock(absl::Minutes(127)), "2:07:00");
  EXPECT_EQ(FormatClock(absl::Seconds(-3)), "0:00");
}

}  // namespace
}  // namespace kartograph
