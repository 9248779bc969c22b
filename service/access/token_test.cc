#include "service/access/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/state_folder.h"

namespace kartograph::service {
namespace {

using testing::HasSubstr;

class TokenTest : public testing::Test {
 protected:
  TokenTest() {
    EXPECT_NE(mkdtemp(state_.data()), nullptr);
    chmod(state_.c_str(), 0755);
  }
  void Write(const std::string& name, const std::string& text, mode_t mode) {
    std::ofstream(absl::StrCat(state_, "/", name)) << text;
    chmod(absl::StrCat(state_, "/", name).c_str(), mode);
  }
  mode_t ModeOf(const std::string& name) {
    struct stat info = {};
    EXPECT_EQ(stat(absl::StrCat(state_, "/", name).c_str(), &info), 0) << name;
    return info.st_mode & 07777;
  }
  std::string Refusal() { return std::string(LoadOrMakeToken(state_).status().message()); }

  std::string state_ = absl::StrCat(testing::TempDir(), "/token.XXXXXX");
};

TEST_F(TokenTest, IsMadeOnceForItsOwnerAlone) {
  const auto token = LoadOrMakeToken(state_);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->size(), 64u);
  EXPECT_EQ(ModeOf("token"), 0600u);
  EXPECT_EQ(*LoadOrMakeToken(state_), *token);
  // Nothing else is left.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(state_), {}), 1);
}

TEST_F(TokenTest, IsTheSameForAllWhoMakeItAtOnce) {
  std::vector<std::string> tokens(8);
  std::vector<std::thread> threads;
  for (std::string& token : tokens) {
    threads.emplace_back([&] { token = LoadOrMakeToken(state_).value_or("none"); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(tokens.begin(), tokens.end()).size(), 1u);
  EXPECT_EQ(tokens[0].size(), 64u);
}

TEST_F(TokenTest, MayBeChosen) {
  Write("token", "  0123456789-0123456789-0123456789-abc\n", 0400);
  EXPECT_EQ(LoadOrMakeToken(state_).value_or(""), "0123456789-0123456789-0123456789-abc");
}

TEST_F(TokenTest, IsRefusedWhereOthersCanReadIt) {
  for (const mode_t mode : {0640u, 0604u, 0620u, 0666u}) {
    Write("token", std::string(64, 'a'), mode);
    EXPECT_THAT(Refusal(), HasSubstr("can be used by others")) << mode;
  }
}

TEST_F(TokenTest, IsRefusedWhereItIsNone) {
  for (const std::string& text : {std::string(), std::string("short"), std::string(2000, 'a'),
                                  std::string(20, 'a') + " " + std::string(20, 'a')}) {
    Write("token", text, 0600);
    EXPECT_THAT(Refusal(), HasSubstr("is not a token")) << text;
  }
  std::filesystem::remove(state_ + "/token");
  std::filesystem::create_symlink("/etc/passwd", state_ + "/token");
  EXPECT_THAT(Refusal(), HasSubstr("symbolic link"));
  std::filesystem::remove(state_ + "/token");
  mkdir((state_ + "/token").c_str(), 0700);
  EXPECT_THAT(Refusal(), HasSubstr("is not a file"));
}

TEST_F(TokenTest, ClosesAStateFolderTheFirstTimeAlone) {
  Write("history.sqlite", "", 0600);
  ASSERT_TRUE(LoadOrMakeToken(state_).ok());
  EXPECT_EQ(ModeOf("."), 0700u);
  chmod(state_.c_str(), 0750);
  ASSERT_TRUE(LoadOrMakeToken(state_).ok());
  EXPECT_EQ(ModeOf("."), 0750u);
}

TEST_F(TokenTest, LeavesAFolderOpenThatIsUsedForOtherThings) {
  Write("letter", "Dear mother", 0644);
  ASSERT_TRUE(LoadOrMakeToken(state_).ok());
  EXPECT_EQ(ModeOf("."), 0755u);
}

TEST_F(TokenTest, TheSocketsFolderIsItsOwnersAlone) {
  ASSERT_TRUE(MakeSocketFolder(state_).ok());
  EXPECT_EQ(ModeOf("run"), 0700u);
  chmod(SocketFolder(state_).c_str(), 0777);
  ASSERT_TRUE(MakeSocketFolder(state_).ok());
  EXPECT_EQ(ModeOf("run"), 0700u);
  rmdir(SocketFolder(state_).c_str());
  Write("run", "", 0600);
  EXPECT_THAT(std::string(MakeSocketFolder(state_).message()), HasSubstr("is not a folder"));
}

}  // namespace
}  // namespace kartograph::service
