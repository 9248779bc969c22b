#include "base/terminal_text.h"

#include <gtest/gtest.h>

namespace kartograph {
namespace {

TEST(TerminalTextTest, KeepsTheLastStateOfEachLine) {
  EXPECT_EQ(WithoutOverwritten(""), "");
  EXPECT_EQ(WithoutOverwritten("plain\nlines"), "plain\nlines");
  EXPECT_EQ(WithoutOverwritten("1%\r2%\r100%\ndone\n"), "100%\ndone\n");
  EXPECT_EQ(WithoutOverwritten("dos\r\nlines\r\n"), "dos\nlines\n");
  EXPECT_EQ(WithoutOverwritten("1%\r2%\r"), "2%");
  EXPECT_EQ(WithoutOverwritten("\r\r\n\n"), "\n\n");
}

}  // namespace
}  // namespace kartograph
