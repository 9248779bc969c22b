#include "base/small_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>

namespace kartograph {
namespace {

std::string Written(const std::string& text) {
  const std::string path = ::testing::TempDir() + "/small_file";
  FILE* file = fopen(path.c_str(), "w");
  fwrite(text.data(), 1, text.size(), file);
  fclose(file);
  return path;
}

TEST(ReadFileTest, ReadsWhatIsThereAndNoMoreThanAllowed) {
  const std::string path = Written(std::string("a\0b", 3));
  EXPECT_EQ(*ReadFile(path), std::string("a\0b", 3));
  EXPECT_EQ(*ReadFile(path, 3), std::string("a\0b", 3));
  EXPECT_TRUE(absl::IsOutOfRange(ReadFile(path, 2).status()));
  EXPECT_EQ(ReadSmallFile(path), std::string("a\0b", 3));
}

TEST(ReadFileTest, SaysWhatIsWrong) {
  const absl::Status status = ReadFile("/nowhere/x").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(status.message(), "cannot read /nowhere/x: No such file or directory");
  EXPECT_FALSE(ReadFile("/").ok());
  EXPECT_EQ(ReadSmallFile("/nowhere/x"), std::nullopt);
}

TEST(ReplaceFileTest, WritesItWholeAndClosesIt) {
  const std::string path = Written("before, and longer");
  ASSERT_TRUE(ReplaceFile(path, "after", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "after");
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_FALSE(ReadSmallFile(path + ".new"));
}

TEST(ReplaceFileTest, LeavesItAsItWasWhereItCannotBeReplaced) {
  const std::string folder = ::testing::TempDir() + "/a_folder";
  mkdir(folder.c_str(), 0700);
  EXPECT_EQ(ReplaceFile(folder, "text", 0600).message(),
            "cannot write " + folder + ": Is a directory");
  EXPECT_FALSE(ReadSmallFile(folder + ".new"));
  EXPECT_TRUE(absl::IsNotFound(ReplaceFile("/nowhere/x", "text", 0600)));
}

}  // namespace
}  // namespace kartograph
