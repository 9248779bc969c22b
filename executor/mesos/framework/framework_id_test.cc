#include "executor/mesos/framework/framework_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace kartograph::executor::mesos {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class FrameworkIdTest : public testing::Test {
 protected:
  FrameworkIdTest() {
    std::string pattern = testing::TempDir() + "/id.XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~FrameworkIdTest() override { std::filesystem::remove_all(folder_); }

  void Store(const std::string& text) {
    std::ofstream(file_path(), std::ios::binary | std::ios::trunc) << text;
  }
  std::string file_path() const { return folder_ + "/framework"; }

  std::string folder_;
};

TEST_F(FrameworkIdTest, IsEmptyWithoutAFile) {
  const auto read = FrameworkIdFile(file_path()).Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->id, "");
  EXPECT_FALSE(read->provisional);
}

TEST_F(FrameworkIdTest, IsReadAsItWasWritten) {
  const FrameworkIdFile file(file_path());
  for (const bool provisional : {true, false}) {
    ASSERT_TRUE(file.Write({"a1b2-0001", provisional}).ok());
    const auto read = file.Read();
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->id, "a1b2-0001");
    EXPECT_EQ(read->provisional, provisional);
  }
  // Nothing is left beside it.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FrameworkIdTest, MayBeWrittenByHand) {
  Store("  a1b2-0001 \r\n\n");
  const auto read = FrameworkIdFile(file_path()).Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->id, "a1b2-0001");
}

TEST_F(FrameworkIdTest, AFileWithoutAnIdSaysWhatToDo) {
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("two words\n"), std::string("a\nb\n"),
        std::string(5, '\0'), std::string(100000, 'x')}) {
    Store(text);
    const auto read = FrameworkIdFile(file_path()).Read();
    EXPECT_EQ(read.status().code(), absl::StatusCode::kFailedPrecondition) << text.substr(0, 20);
    EXPECT_THAT(read.status().message(),
                AllOf(HasSubstr(file_path()), HasSubstr("--mesos-abandon")));
  }
}

TEST_F(FrameworkIdTest, IsRemovedOnce) {
  const FrameworkIdFile file(file_path());
  ASSERT_TRUE(file.Write({"a1b2-0001", false}).ok());
  EXPECT_TRUE(file.Remove().ok());
  EXPECT_FALSE(std::filesystem::exists(file_path()));
  EXPECT_TRUE(file.Remove().ok());
}

TEST_F(FrameworkIdTest, AnErrorNamesTheFile) {
  const FrameworkIdFile file(folder_ + "/missing/framework");
  EXPECT_THAT(file.Write({"a1b2-0001", false}).message(), HasSubstr(file.path()));
  std::filesystem::create_directory(file_path());
  EXPECT_THAT(FrameworkIdFile(file_path()).Read().status().message(), HasSubstr(file_path()));
}

}  // namespace
}  // namespace kartograph::executor::mesos
