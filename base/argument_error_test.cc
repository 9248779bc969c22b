#include "base/argument_error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace kartograph {
namespace {

std::string ErrorOf(std::vector<std::string> words) {
  CLI::App app("", "program");
  std::string text;
  int number = 0;
  bool flag = false;
  CLI::Option* config = app.add_option("--config", text)->type_name("FILE");
  app.add_option("--other", text)->excludes(config);
  app.add_option("--number", number);
  app.add_flag("--flag", flag)->disable_flag_override();
  std::string required;
  app.add_option("FILE", required)->required();
  std::reverse(words.begin(), words.end());
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return ArgumentError(error);
  }
  return "";
}

TEST(ArgumentErrorTest, SaysItInOurWords) {
  EXPECT_EQ(ErrorOf({"x", "--config", "a", "--config", "b"}),
            "--config is given more than once; give it once");
  EXPECT_EQ(ErrorOf({"x", "--config"}), "--config needs a value");
  EXPECT_EQ(ErrorOf({"x", "--flag=1"}), "--flag takes no value");
  EXPECT_EQ(ErrorOf({"x", "--config", "a", "--other", "b"}),
            "--config and --other exclude each other; give one of them");
  EXPECT_EQ(ErrorOf({"x", "--number", "soon"}), "--number = soon is not a valid value");
  EXPECT_EQ(ErrorOf({}), "FILE is required");
  EXPECT_EQ(ErrorOf({"x"}), "");
}

}  // namespace
}  // namespace kartograph
