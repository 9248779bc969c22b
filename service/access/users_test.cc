#include "service/access/users.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/small_file.h"
#include "base/testing/manual_clock.h"

namespace kartograph::service {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class UsersTest : public ::testing::Test {
 protected:
  UsersTest() {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    file_ = folder_ + "/users";
  }
  std::unique_ptr<Users> Open() {
    absl::StatusOr<std::unique_ptr<Users>> users = Users::Open(
        {.file = file_, .owner = "maps", .token = "the owner's token", .clock = &clock_});
    EXPECT_TRUE(users.ok()) << users.status();
    return *std::move(users);
  }
  absl::Status OpenWith(const std::string& text, mode_t mode = 0600) {
    std::ofstream(file_) << text;
    chmod(file_.c_str(), mode);
    return Users::Open({.file = file_, .owner = "maps"}).status();
  }

  std::string folder_ = ::testing::TempDir() + "/users.XXXXXX";
  std::string file_;
  kartograph::testing::ManualClock clock_;
};

TEST_F(UsersTest, KnowsTheOwnerAlone) {
  const auto users = Open();
  const std::optional<Caller> owner = users->Find("the owner's token");
  ASSERT_TRUE(owner);
  EXPECT_EQ(owner->user, "");
  EXPECT_EQ(owner->role, Role::kAdmin);
  EXPECT_TRUE(users->Has(owner->credential));
  EXPECT_FALSE(users->Find("another"));
  EXPECT_FALSE(users->Find(""));
  EXPECT_FALSE(users->Has(""));
  EXPECT_NE(access(file_.c_str(), F_OK), 0) << "it is not there before there are users";
}

TEST_F(UsersTest, WithoutATokenNoneIsRight) {
  const auto users = *Users::Open({.file = file_, .owner = "maps"});
  EXPECT_FALSE(users->Find(""));
}

TEST_F(UsersTest, AnAddedUserHasATokenUntilRemoved) {
  const auto users = Open();
  const std::string alice = *users->Add("alice", Role::kUser);
  const std::string bob = *users->Add("bob", Role::kReader);
  EXPECT_NE(alice, bob);
  const std::optional<Caller> found = users->Find(alice);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->user, "alice");
  EXPECT_EQ(found->role, Role::kUser);
  EXPECT_TRUE(users->Has(found->credential));
  EXPECT_EQ(users->Find(bob)->role, Role::kReader);
  ASSERT_EQ(users->List().size(), 2u);
  EXPECT_EQ(users->List()[0].name, "alice");
  EXPECT_EQ(users->List()[0].created, clock_.WallNow());

  EXPECT_TRUE(users->Remove("alice").ok());
  EXPECT_FALSE(users->Find(alice));
  EXPECT_FALSE(users->Has(found->credential));
  EXPECT_TRUE(users->Find(bob));
  EXPECT_TRUE(absl::IsNotFound(users->Remove("alice")));
  EXPECT_NE(*users->Add("alice", Role::kUser), alice);
}

TEST_F(UsersTest, ARestartKnowsThemAndTheFileHasNoToken) {
  const std::string token = *Open()->Add("alice", Role::kAdmin);
  const std::string text = *ReadFile(file_);
  EXPECT_THAT(text, AllOf(HasSubstr("\nalice admin "), Not(HasSubstr(token))));
  struct stat info = {};
  ASSERT_EQ(stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto again = Open();
  EXPECT_EQ(again->Find(token)->role, Role::kAdmin);
}

TEST_F(UsersTest, ReloadTakesWhatTheFileSays) {
  const auto users = Open();
  const std::string token = *users->Add("alice", Role::kUser);
  std::ofstream(file_) << "# nobody\n\n";
  EXPECT_TRUE(users->Find(token));
  EXPECT_TRUE(users->Reload().ok());
  EXPECT_FALSE(users->Find(token));
  std::ofstream(file_) << "nonsense\n";
  EXPECT_THAT(std::string(users->Reload().message()), HasSubstr("users, line 1: must be a name"));
  EXPECT_EQ(users->Add("alice", Role::kUser).status().code(), absl::StatusCode::kFailedPrecondition)
      << "what cannot be read is not written over";
}

TEST_F(UsersTest, RefusesNames) {
  const auto users = Open();
  for (const std::string name : {"", "1a", "a b", "a#b", "a/b", "\xc3\xa9", "-a"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(users->Add(name, Role::kUser).status())) << name;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(users->Add(std::string(33, 'a'), Role::kUser).status()));
  EXPECT_TRUE(users->Add(std::string(32, 'a'), Role::kUser).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(users->Add(std::string(32, 'a'), Role::kUser).status()));
  EXPECT_TRUE(absl::IsAlreadyExists(users->Add("maps", Role::kUser).status()));
  EXPECT_THAT(std::string(users->Remove("maps").message()), HasSubstr("own user"));
}

TEST_F(UsersTest, RefusesAFileThatIsDamagedOrOthers) {
  const std::string digest(64, 'a');
  EXPECT_TRUE(OpenWith(absl::StrCat("alice user ", digest, " 1\n")).ok());
  for (const std::string& wrong :
       {absl::StrCat("alice king ", digest, " 1"), std::string("alice user abc 1"),
        absl::StrCat("alice user ", digest), absl::StrCat("a/b user ", digest, " 1"),
        absl::StrCat("alice user ", digest, " soon"),
        absl::StrCat("alice user ", digest, " 1\nbob admin ", digest, " 1"),
        absl::StrCat("maps user ", digest, " 1"),
        absl::StrCat("alice user ", digest, " 1\nalice user ", std::string(64, 'b'), " 1")}) {
    EXPECT_EQ(OpenWith(wrong).code(), absl::StatusCode::kFailedPrecondition) << wrong;
  }
  EXPECT_THAT(std::string(OpenWith("", 0620).message()), HasSubstr("can be changed by others"));
  EXPECT_THAT(std::string(OpenWith("", 0602).message()), HasSubstr("can be changed by others"));
}

TEST_F(UsersTest, HasALimit) {
  std::string text;
  for (size_t i = 0; i < Users::kMaxUsers; ++i) {
    absl::StrAppend(&text, "u", i, " user ", absl::Hex(i, absl::kZeroPad16), std::string(48, 'a'),
                    " 1\n");
  }
  EXPECT_TRUE(OpenWith(text).ok());
  EXPECT_EQ(Open()->Add("alice", Role::kUser).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(OpenWith(absl::StrCat(text, "v user ", std::string(64, 'b'), " 1\n")).ok());
}

TEST_F(UsersTest, NobodyIsAddedWhereItCannotBeWritten) {
  const auto users = Open();
  ASSERT_EQ(mkdir((file_ + ".new").c_str(), 0700), 0);
  EXPECT_FALSE(users->Add("alice", Role::kUser).ok());
  EXPECT_TRUE(users->List().empty());
}

TEST(RoleTest, HasWords) {
  for (const Role role : {Role::kReader, Role::kUser, Role::kAdmin}) {
    EXPECT_EQ(RoleFromString(ToString(role)), role);
  }
  EXPECT_FALSE(RoleFromString("root"));
}

}  // namespace
}  // namespace kartograph::service
