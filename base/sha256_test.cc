#include "base/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace kartograph {
namespace {

// From FIPS 180-4's examples.
TEST(Sha256Test, IsThatOfTheStandard) {
  Sha256 whole;
  whole.Add("abc");
  EXPECT_EQ(whole.Hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 parts;
  parts.Add("a");
  parts.Add("");
  parts.Add("bc");
  EXPECT_EQ(parts.Hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, IsToldFromOtherText) {
  EXPECT_TRUE(IsSha256(std::string(64, 'a')));
  EXPECT_TRUE(IsSha256(std::string(60, '0') + "9f1c"));
  for (const std::string& text :
       {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'),
        std::string(64, 'g'), "../" + std::string(61, 'a')}) {
    EXPECT_FALSE(IsSha256(text)) << text;
  }
}

}  // namespace
}  // namespace kartograph
