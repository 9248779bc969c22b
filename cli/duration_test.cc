#include "cli/duration.h"

#include <gtest/gtest.h>

namespace kartograph::cli {
namespace {

TEST(DurationTest, ReadsEveryWayOfWritingASpan) {
  EXPECT_EQ(*ParseSpan("30"), absl::Seconds(30));
  EXPECT_EQ(*ParseSpan("30s"), absl::Seconds(30));
  EXPECT_EQ(*ParseSpan("500ms"), absl::Milliseconds(500));
  EXPECT_EQ(*ParseSpan("5m"), absl::Minutes(5));
  EXPECT_EQ(*ParseSpan("1h30m"), absl::Minutes(90));
  EXPECT_EQ(*ParseSpan("2d"), absl::Hours(48));
  EXPECT_EQ(*ParseSpan("1.5h"), absl::Minutes(90));
  EXPECT_EQ(*ParseSpan("0.25"), absl::Milliseconds(250));
  EXPECT_EQ(*ParseSpan("1d2h3m4s5ms"),
            absl::Hours(26) + absl::Minutes(3) + absl::Seconds(4) + absl::Milliseconds(5));
  EXPECT_EQ(*ParseSpan("0"), absl::ZeroDuration());
}

TEST(DurationTest, RefusesWhatIsNoSpan) {
  for (const char* text : {"", "s", "-1s", "+1s", "1x", "1h30", "30m1h", "1s1s", "1 s", " 1s",
                           "1..2s", "inf", "nan", "1e3", "0x10", "soon", ".", "1S"}) {
    EXPECT_FALSE(ParseSpan(text).ok()) << text;
  }
  EXPECT_EQ(ParseSpan("soon").status().message(),
            "\"soon\" is not a span of time; right would be 30, 30s, 500ms, 5m, 1h30m or 2d");
  EXPECT_EQ(ParseSpan("99999999999999d").status().message(), "\"99999999999999d\" is too long");
}

TEST(DurationTest, WritesSpansForPeople) {
  EXPECT_EQ(FormatSpan(absl::Milliseconds(320)), "0.3 s");
  EXPECT_EQ(FormatSpan(absl::Milliseconds(9949)), "9.9 s");
  EXPECT_EQ(FormatSpan(absl::Milliseconds(9999)), "10 s");
  EXPECT_EQ(FormatSpan(absl::Seconds(185)), "3 min 05 s");
  EXPECT_EQ(FormatSpan(absl::Minutes(127)), "2 h 07 min");
  EXPECT_EQ(FormatSpan(absl::Hours(76)), "3 d 04 h");
  EXPECT_EQ(FormatSpan(absl::Seconds(-5)), "0.0 s");
  EXPECT_EQ(FormatClock(absl::Seconds(42)), "0:42");
  EXPECT_EQ(FormatClock(absl::Seconds(185)), "3:05");
  EXPECT_EQ(FormatClock(absl::Minutes(127)), "2:07:00");
  EXPECT_EQ(FormatClock(absl::Seconds(-3)), "0:00");
}

TEST(DurationTest, ConvertsToTheContractAndBack) {
  const absl::Duration span = absl::Seconds(90) + absl::Milliseconds(250);
  EXPECT_EQ(ToProto(span).seconds(), 90);
  EXPECT_EQ(ToProto(span).nanos(), 250000000);
  EXPECT_EQ(FromProto(ToProto(span)), span);
}

}  // namespace
}  // namespace kartograph::cli
