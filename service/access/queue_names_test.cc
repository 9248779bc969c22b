#include "service/access/queue_names.h"

#include <gtest/gtest.h>

namespace kartograph::service {
namespace {

const Caller kOwner{.user = "", .role = Role::kAdmin};
const Caller kAlice{.user = "alice", .role = Role::kUser};
const Caller kRoot{.user = "root", .role = Role::kAdmin};

TEST(QueueNamesTest, EachUserHasTheirOwn) {
  EXPECT_EQ(StoredName(kOwner, "q"), "q");
  EXPECT_EQ(StoredName(kAlice, "q"), "alice#q");
  EXPECT_EQ(StoredName(kAlice, ""), "");
  EXPECT_EQ(*StoredQueue(kOwner, "q", "maps"), "q");
  EXPECT_EQ(*StoredQueue(kAlice, "q", "maps"), "alice#q");
  EXPECT_EQ(*StoredQueue(kAlice, "alice#q", "maps"), "alice#q");
}

TEST(QueueNamesTest, AdministratorsNameThoseOfOthers) {
  EXPECT_EQ(*StoredQueue(kOwner, "alice#q", "maps"), "alice#q");
  EXPECT_EQ(*StoredQueue(kRoot, "alice#q", "maps"), "alice#q");
  EXPECT_EQ(*StoredQueue(kRoot, "maps#q", "maps"), "q");
  EXPECT_TRUE(absl::IsPermissionDenied(StoredQueue(kAlice, "bob#q", "maps").status()));
  EXPECT_TRUE(absl::IsPermissionDenied(StoredQueue(kAlice, "maps#q", "maps").status()));
}

TEST(QueueNamesTest, RefusesWhatIsNoName) {
  for (const char* name : {"", "#", "alice#", "#q", "alice#q#q", "a b#q", "q\n", "alice#-q"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(StoredQueue(kOwner, name, "maps").status())) << name;
  }
}

TEST(QueueNamesTest, ShowsWhatCanBeNamed) {
  for (const Caller& caller : {kOwner, kRoot}) {
    for (const char* stored : {"q", "alice#q", "root#q"}) {
      EXPECT_EQ(*StoredQueue(caller, ShownQueue(caller, stored, "maps"), "maps"), stored);
    }
  }
  EXPECT_EQ(ShownQueue(kOwner, "q", "maps"), "q");
  EXPECT_EQ(ShownQueue(kOwner, "alice#q", "maps"), "alice#q");
  EXPECT_EQ(ShownQueue(kAlice, "alice#q", "maps"), "q");
  EXPECT_EQ(ShownQueue(kAlice, "q", "maps"), "maps#q");
  EXPECT_EQ(ShownQueue(kAlice, "", "maps"), "");
}

}  // namespace
}  // namespace kartograph::service
