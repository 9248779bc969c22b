#include "cli/quantity.h"

#include <gtest/gtest.h>

namespace kartograph::cli {
namespace {

TEST(QuantityTest, ReadsNumbersAndUnitsOfBytes) {
  EXPECT_EQ(*ParseQuantity("cpu", "4"), 4);
  EXPECT_EQ(*ParseQuantity("cpu", "0.5"), 0.5);
  EXPECT_EQ(*ParseQuantity("cpu", "0"), 0);
  EXPECT_EQ(*ParseQuantity("ram", "1e3"), 1000);
  EXPECT_EQ(*ParseQuantity("ram", "512MiB"), 512.0 * 1024 * 1024);
  EXPECT_EQ(*ParseQuantity("ram", "1.5 GB"), 1.5e9);
  EXPECT_EQ(*ParseQuantity("ram", " 7B "), 7);
  EXPECT_EQ(*ParseQuantity("ram", "2kB"), 2000);
  EXPECT_EQ(*ParseQuantity("ram", "2KiB"), 2048);
  EXPECT_EQ(*ParseQuantity("ram", "3MB"), 3e6);
  EXPECT_EQ(*ParseQuantity("disk", "1TB"), 1e12);
  EXPECT_EQ(*ParseQuantity("disk", "1GiB"), 1073741824.0);
  EXPECT_EQ(*ParseQuantity("disk", "1TiB"), 1099511627776.0);
}

TEST(QuantityTest, SaysWhatIsWrongAndWhatWouldBeRight) {
  const auto message = [](absl::string_view resource, absl::string_view text) {
    return std::string(ParseQuantity(resource, text).status().message());
  };
  EXPECT_EQ(message("ram", "12 floppies"),
            "\"12 floppies\" has an unknown unit; known are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB");
  EXPECT_EQ(message("ram", "512mib"),
            "\"512mib\" has an unknown unit; known are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB");
  EXPECT_EQ(message("cpu", "2GB"), "\"2GB\" has a unit of bytes; cpu is a number of cores");
  EXPECT_EQ(message("cpu", "-1"), "\"-1\" is negative; a quantity is 0 or more");
  EXPECT_EQ(message("cpu", "1e16"), "\"1e16\" is too large; a quantity is at most 10^15");
  EXPECT_EQ(message("cpu", "1e999"), "\"1e999\" is too large; a quantity is at most 10^15");
  for (const char* text :
       {"", "inf", "nan", "NaN", ".inf", "-", "1-2", "much", "--1", "0x10", "e5"}) {
    EXPECT_FALSE(ParseQuantity("cpu", text).ok()) << text;
  }
  EXPECT_EQ(message("cpu", "nan"),
            "\"nan\" is not a quantity; right would be a number such as 4, 0.5 or 512MiB");
}

TEST(QuantityTest, ChecksNamesOfResources) {
  EXPECT_EQ(ResourceNameProblem("db_connections"), "");
  EXPECT_EQ(ResourceNameProblem(std::string(64, 'a')), "");
  for (const char* name : {"", "1gpu", "_x", "a b", "ram!"}) {
    EXPECT_NE(ResourceNameProblem(name), "") << name;
  }
  EXPECT_NE(ResourceNameProblem(std::string(65, 'a')), "");
}

TEST(QuantityTest, WritesQuantitiesForPeople) {
  EXPECT_EQ(FormatQuantity("cpu", 0.5), "0.5");
  EXPECT_EQ(FormatQuantity("cpu", 40), "40");
  EXPECT_EQ(FormatQuantity("ram", 536870912), "512MiB");
  EXPECT_EQ(FormatBytes(0), "0B");
  EXPECT_EQ(FormatBytes(1536), "1.5KiB");
}

}  // namespace
}  // namespace kartograph::cli
