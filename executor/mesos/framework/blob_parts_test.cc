#include "executor/mesos/framework/blob_parts.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/sha256.h"

namespace kartograph::executor::mesos {
namespace {

using kartograph::mesos::BlobPart;

class BlobPartsTest : public ::testing::Test {
 protected:
  BlobPartsTest() {
    Sha256 digest;
    digest.Add(content_);
    id_ = digest.Hex();
    std::ofstream(folder_ + "/" + id_) << content_;
    std::ofstream(folder_ + "/token") << "secret";
  }
  BlobPart Read(int64_t offset) { return Read(folder_, id_, offset); }
  static BlobPart Read(const std::string& folder, const std::string& id, int64_t offset) {
    kartograph::mesos::BlobRequest request;
    request.set_blob_id(id);
    request.set_offset(offset);
    return ReadBlobPart(folder, request);
  }

  const std::string folder_ = getenv("TEST_TMPDIR");
  const std::string content_ = std::string(1 << 20, 'x') + "the end";
  std::string id_;
};

TEST_F(BlobPartsTest, GivesAPartFromAnOffset) {
  const BlobPart first = Read(0);
  EXPECT_FALSE(first.not_kept());
  EXPECT_EQ(first.blob_id(), id_);
  EXPECT_EQ(first.size(), static_cast<int64_t>(content_.size()));
  EXPECT_EQ(first.data(), std::string(1 << 20, 'x'));
  const BlobPart second = Read(1 << 20);
  EXPECT_EQ(second.offset(), 1 << 20);
  EXPECT_EQ(second.data(), "the end");
  EXPECT_EQ(Read(static_cast<int64_t>(content_.size())).data(), "");
}

TEST_F(BlobPartsTest, GivesNothingElse) {
  EXPECT_TRUE(Read(folder_, "token", 0).not_kept());
  EXPECT_TRUE(Read(folder_, "../etc/passwd", 0).not_kept());
  EXPECT_TRUE(Read(folder_, std::string(64, 'a'), 0).not_kept());
  EXPECT_TRUE(Read("", id_, 0).not_kept());
  EXPECT_TRUE(Read(-1).not_kept());
  EXPECT_TRUE(Read(static_cast<int64_t>(content_.size()) + 1).not_kept());
}

}  // namespace
}  // namespace kartograph::executor::mesos
