#include "base/byte_size.h"

#include <gtest/gtest.h>

#include <limits>

namespace kartograph {
namespace {

TEST(ByteSizeTest, KnowsBinaryAndDecimalUnits) {
  EXPECT_EQ(BytesOfUnit("B"), 1);
  EXPECT_EQ(BytesOfUnit("kB"), 1000);
  EXPECT_EQ(BytesOfUnit("KiB"), 1024);
  EXPECT_EQ(BytesOfUnit("GB"), 1000000000);
  EXPECT_EQ(BytesOfUnit("TiB"), 1099511627776);
  for (const char* unit : {"", "b", "mib", "KB", "floppies"}) {
    EXPECT_FALSE(BytesOfUnit(unit).has_value()) << unit;
  }
}

TEST(ByteSizeTest, RoundsWhatWasMeasured) {
  EXPECT_EQ(FormatBytes(0), "0B");
  EXPECT_EQ(FormatBytes(10), "10B");
  EXPECT_EQ(FormatBytes(1536), "1.5KiB");
  EXPECT_EQ(FormatBytes(1048575), "1MiB");
  EXPECT_EQ(FormatBytes(536870912), "512MiB");
  EXPECT_EQ(FormatBytes(123456789), "117.7MiB");
  EXPECT_EQ(FormatBytes(5e15), "4547.5TiB");
}

TEST(ByteSizeTest, WritesExactlyWhatWasAskedFor) {
  EXPECT_EQ(FormatBytesExactly(0), "0");
  EXPECT_EQ(FormatBytesExactly(500), "0.5");
  EXPECT_EQ(FormatBytesExactly(1000 * 1025), "1025");
  EXPECT_EQ(FormatBytesExactly(1000 * 1536), "1.5KiB");
  EXPECT_EQ(FormatBytesExactly(int64_t{1000} << 29), "512MiB");
  EXPECT_EQ(FormatBytesExactly(-1000 * 1024), "-1024");
}

TEST(ByteSizeTest, WritesThousandthsAsTheShortestDecimal) {
  EXPECT_EQ(FormatThousandths(4000), "4");
  EXPECT_EQ(FormatThousandths(500), "0.5");
  EXPECT_EQ(FormatThousandths(-1250), "-1.25");
  EXPECT_EQ(FormatThousandths(1), "0.001");
  EXPECT_EQ(FormatThousandths(std::numeric_limits<int64_t>::min()), "-9223372036854775.808");
}

}  // namespace
}  // namespace kartograph
