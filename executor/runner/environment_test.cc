#include "executor/runner/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::executor {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;

std::vector<std::string> Inherited(std::vector<std::string> entries) {
  std::vector<char*> environment;
  for (std::string& entry : entries) environment.push_back(entry.data());
  environment.push_back(nullptr);
  return InheritedEnvironment(environment.data());
}

TEST(EnvironmentTest, InheritsWhatIsNotOfTheProcessAlone) {
  EXPECT_THAT(Inherited({"PATH=/bin", "HOME=/h", "USER=u", "LOGNAME=l", "A=b=c",
                         "KARTOGRAPH_MESOS_SECRET=hush", "KARTOGRAPH_SERVER=x:1",
                         "KARTOGRAPH_TOKEN_FILE=/t", "KARTOGRAPH_TOKEN=hush",
                         "NOTIFY_SOCKET=/run/x", "INVOCATION_ID=1", "EMPTY="}),
              ElementsAre("PATH=/bin", "HOME=/h", "USER=u", "LOGNAME=l", "A=b=c",
                          "KARTOGRAPH_SERVER=x:1", "KARTOGRAPH_TOKEN_FILE=/t", "EMPTY="));
}

TEST(EnvironmentTest, HasPathAndUserWhereThereIsNoEnvironment) {
  const struct passwd* user = getpwuid(geteuid());
  if (user == nullptr) GTEST_SKIP() << "this user is not in the password database";
  EXPECT_THAT(
      Inherited({}),
      ElementsAre("PATH=/usr/local/bin:/usr/bin:/bin", absl::StrCat("HOME=", user->pw_dir),
                  absl::StrCat("USER=", user->pw_name), absl::StrCat("LOGNAME=", user->pw_name)));
  EXPECT_THAT(InheritedEnvironment(nullptr), IsSupersetOf(Inherited({})));
  EXPECT_THAT(Inherited({"HOME=/mine"}), Contains("HOME=/mine"));
}

TEST(EnvironmentTest, LaterVariablesReplaceEarlierOnesAndTheBase) {
  const Environment base({"A=base", "B=base", "A=again", "no equals sign", "=nameless"});
  EXPECT_EQ(base.Get("A"), "base");
  EXPECT_EQ(base.Get("C"), "");
  EnvironmentBlock block;
  base.Build({{"B", "1"}, {"C", "2"}, {"B", "3"}}, &block);
  std::vector<std::string> built;
  for (char* entry : block.pointers) {
    if (entry != nullptr) built.emplace_back(entry);
  }
  EXPECT_THAT(built, ElementsAre("A=base", "B=3", "C=2"));
}

}  // namespace
}  // namespace kartograph::executor
