#include "base/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/descriptor.h"

namespace kartograph {
namespace {

TEST(FileIoTest, ReadsBackWhatWasWrittenFromAnyOffset) {
  const std::string path = absl::StrCat(getenv("TEST_TMPDIR"), "/file");
  const Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const std::string content = std::string(300000, 'x') + "the end";
  ASSERT_TRUE(WriteAll(file.get(), content));
  std::string data;
  ASSERT_TRUE(ReadAt(file.get(), 0, content.size(), &data));
  EXPECT_EQ(data, content);
  ASSERT_TRUE(ReadAt(file.get(), 300004, 100, &data));
  EXPECT_EQ(data, "end");
  ASSERT_TRUE(ReadAt(file.get(), 400000, 100, &data));
  EXPECT_EQ(data, "");
}

TEST(FileIoTest, SaysWhatWentWrong) {
  std::string data;
  EXPECT_FALSE(WriteAll(-1, "x"));
  EXPECT_EQ(errno, EBADF);
  EXPECT_FALSE(ReadAt(-1, 0, 10, &data));
  EXPECT_EQ(errno, EBADF);
  const Descriptor full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  EXPECT_FALSE(WriteAll(full.get(), "x"));
  EXPECT_EQ(errno, ENOSPC);
}

}  // namespace
}  // namespace kartograph
