#include "storage/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "storage/schema.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using testing::ElementsAre;

TEST(IdentityTest, AHistoryKeepsItsIdentityAndKnowsItsStarts) {
  TestFolder folder;
  const Identity first = OpenIn(folder).identity;
  const Identity second = OpenIn(folder).identity;
  EXPECT_EQ(first.history.size(), 32u);
  EXPECT_EQ(second.history, first.history);
  ASSERT_EQ(first.incarnations.size(), 1u);
  ASSERT_EQ(second.incarnations.size(), 2u);
  EXPECT_EQ(second.incarnations[0], first.incarnations[0]);
  EXPECT_NE(second.incarnations[1], first.incarnations[0]);
  EXPECT_NE(first.incarnations[0], 0u);
}

TEST(IdentityTest, TwoHistoriesDiffer) {
  TestFolder one, other;
  EXPECT_NE(OpenIn(one).identity.history, OpenIn(other).identity.history);
}

TEST(IdentityTest, AnOlderCopyLacksWhatCameAfterIt) {
  TestFolder folder, copy;
  const Identity before = OpenIn(folder).identity;
  std::filesystem::copy(
      folder.path(), copy.path(),
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  const Identity after = OpenIn(folder).identity;
  const Identity restored = OpenIn(copy).identity;
  EXPECT_EQ(restored.history, after.history);
  EXPECT_EQ(restored.incarnations[0], before.incarnations[0]);
  EXPECT_NE(restored.incarnations[1], after.incarnations[1]);
}

TEST(IdentityTest, AHistoryOfTheFirstVersionGetsOne) {
  TestFolder folder;
  {
    absl::StatusOr<std::unique_ptr<Connection>> connection =
        Connection::Open({.path = folder.database()});
    ASSERT_TRUE(connection.ok());
    ASSERT_TRUE(MigrateSchema(**connection, Migrations().first(1)).ok());
  }
  EXPECT_EQ(OpenIn(folder).identity.history.size(), 32u);
}

TEST(IdentityTest, OldStartsAreForgotten) {
  TestFolder folder;
  { History history = OpenIn(folder); }
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open({.path = folder.database()});
  ASSERT_TRUE(connection.ok());
  ASSERT_TRUE((*connection)->Execute("UPDATE incarnations SET number = 1, value = 1").ok());
  ASSERT_TRUE((*connection)->Execute("INSERT INTO incarnations VALUES (5000, 7)").ok());
  absl::StatusOr<Identity> identity = BeginIncarnation(**connection);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_THAT(identity->incarnations, ElementsAre(7u, identity->incarnations.back()));
}

}  // namespace
}  // namespace kartograph::storage
