#include "base/utf8.h"

#include <gtest/gtest.h>

namespace kartograph {
namespace {

TEST(Utf8Test, TakesWhatIsWellFormed) {
  for (const char* text : {"", "abc", "caf\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x97\xBA",
                           "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"}) {
    EXPECT_TRUE(IsValidUtf8(text)) << text;
    EXPECT_EQ(ValidUtf8(text), text);
  }
}

TEST(Utf8Test, ReplacesEveryByteThatBelongsToNoCharacter) {
  EXPECT_EQ(ValidUtf8("a\xFF/b"), "a\xEF\xBF\xBD/b");
  EXPECT_EQ(ValidUtf8("cut \xE2\x82"), "cut \xEF\xBF\xBD\xEF\xBF\xBD");
  // Overlong, a surrogate, beyond the last code point, a continuation alone.
  for (const char* text : {"\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                           "\xF5\x80\x80\x80", "\x80", "\xC3"}) {
    EXPECT_FALSE(IsValidUtf8(text));
    EXPECT_TRUE(IsValidUtf8(ValidUtf8(text)));
  }
}

TEST(Utf8Test, CutsBetweenCharacters) {
  EXPECT_EQ(TruncateUtf8("caf\xC3\xA9", 5), "caf\xC3\xA9");
  EXPECT_EQ(TruncateUtf8("caf\xC3\xA9", 4), "caf");
  EXPECT_EQ(TruncateUtf8("\xF0\x9F\x97\xBA", 3), "");
}

}  // namespace
}  // namespace kartograph
