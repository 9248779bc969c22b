#include "cli/command_advice.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kartograph::cli {
namespace {

using Words = std::vector<std::string>;

std::string OfText(const std::string& text, const Words& shell = {}, bool in_own_folder = true) {
  v1::Command command;
  command.set_shell(text);
  return absl::StrJoin(CommandAdvice(command, shell, in_own_folder), "\n");
}

std::string OfList(const Words& words, bool in_own_folder = true) {
  v1::Command command;
  for (const std::string& word : words) command.add_arguments(word);
  return absl::StrJoin(CommandAdvice(command, {}, in_own_folder), "\n");
}

std::string Missing(absl::string_view file) {
  return absl::StrCat("\"", file,
                      "\" is looked for in the attempt's own, empty folder; give its full path, or "
                      "a `directory`");
}

TEST(CommandAdviceTest, FindsFilesThatAreNotInAnEmptyFolder) {
  EXPECT_EQ(OfText("./load.sh --all"), Missing("./load.sh"));
  EXPECT_EQ(OfText("bin/load.sh > out.txt"), Missing("bin/load.sh"));
  EXPECT_EQ(OfText("bin/load.sh 2>&1"), Missing("bin/load.sh"));
  EXPECT_EQ(OfText("bin/load.sh \"$(date)\" $(date)"), Missing("bin/load.sh"));
  EXPECT_EQ(OfText("python3 load.py"), Missing("load.py"));
  EXPECT_EQ(OfText("A=1 exec python3.11 -u 'my load.py' x"), Missing("my load.py"));
  EXPECT_EQ(OfText("cd src && ./x.sh"), Missing("src"));
  EXPECT_EQ(OfText("set -e\n# comment\nexport A=b\necho begin\n../load.sh\n"),
            Missing("../load.sh"));
  EXPECT_EQ(OfText("source venv/bin/activate; x"), Missing("venv/bin/activate"));
  EXPECT_EQ(OfList({"scripts/load.sh"}), Missing("scripts/load.sh"));
  EXPECT_EQ(OfList({"python3", "load.py"}), Missing("load.py"));
  EXPECT_EQ(OfList({"bash", "-euo", "pipefail", "load.sh"}), Missing("load.sh"));
  EXPECT_EQ(OfList({"sh", "-c", "./load.sh"}), Missing("./load.sh"));
  EXPECT_EQ(OfText("./load.sh", {"bash", "-euc"}), Missing("./load.sh"));
}

TEST(CommandAdviceTest, ADirectoryMayHaveThem) {
  EXPECT_EQ(OfText("cd src && ./x.sh", {}, false), "");
  EXPECT_EQ(OfList({"python3", "load.py"}, false), "");
}

TEST(CommandAdviceTest, LeavesAloneWhatMayBeThere) {
  for (const char* text : {"true",
                           "/opt/load.sh",
                           "sort names.txt",
                           "cd /data && ./load.sh",
                           "cd \"$A\" && ./x",
                           "cd ~/src && ./x.sh",
                           "mkdir out && cd out && ./x",
                           "git clone x && cd x && ./configure",
                           "python3 -c 'import load.py'",
                           "python3 -m load.py",
                           "python3 /opt/load.py data.py",
                           "echo 'exit 3' > load.sh; sh load.sh",
                           "$HOME/load.sh",
                           "~/load.sh",
                           "[ -e a ] || ./load.sh",
                           "for i in 1 2; do ./load.sh; done",
                           "A=./b true",
                           "x=$(./y) ./z",
                           "curl http://a/b.sh",
                           "cd .. && ls",
                           "cd",
                           "bash -c ./x.sh",
                           "grep -r a/b.py",
                           "(cd src; ./x.sh)",
                           "'unfinished"}) {
    EXPECT_EQ(OfText(text), "") << text;
  }
  for (const Words& words : std::vector<Words>{{"true"},
                                               {"/opt/load.sh", "a/b"},
                                               {"python3", "/opt/load.py", "data.py"},
                                               {"python3", "-m", "load", "x.py"},
                                               {"cp", "a/b", "--to=c/d"},
                                               {"perl", "-ne", "print", "x.pl"}}) {
    EXPECT_EQ(OfList(words), "") << absl::StrJoin(words, " ");
  }
  EXPECT_EQ(OfText("./load.sh", {"python3", "-c"}), "");
}

TEST(CommandAdviceTest, FindsTextsThatGoOnAfterAFailure) {
  const std::string goes_on =
      "the shell goes on after a line that fails; begin with \"set -e\" to stop there, or give "
      "`shell: [bash, -euo, pipefail, -c]`";
  EXPECT_EQ(OfText("false\necho on"), goes_on);
  EXPECT_EQ(OfText("false\necho on", {"bash", "-c"}), goes_on);
  EXPECT_EQ(OfText("false\necho on", {"/bin/bash", "--login", "-c"}), goes_on);
  EXPECT_EQ(OfList({"sh", "-c", "false\necho on"}), goes_on);
  EXPECT_EQ(OfList({"bash", "-lc", "false\necho on"}, false), goes_on);
  for (const Words& shell : std::vector<Words>{{"bash", "-euo", "pipefail", "-c"},
                                               {"bash", "-ec"},
                                               {"bash", "-o", "errexit", "-c"},
                                               {"python3", "-c"}}) {
    EXPECT_EQ(OfText("false\necho on", shell), "") << absl::StrJoin(shell, " ");
  }
  EXPECT_EQ(OfText("set -e\nfalse\necho on"), "");
  EXPECT_EQ(OfText("a &&\nb |\nc \\\nd\n"), "");
  EXPECT_EQ(OfList({"bash", "-euc", "false\necho on"}), "");
  EXPECT_EQ(OfList({"printf", "a\nb"}), "");
}

TEST(CommandAdviceTest, FindsWhatAShellWouldHaveExpanded) {
  const std::string variable =
      " is passed on unchanged; variables are expanded in shell commands only";
  const std::string home = " is passed on unchanged; \"~\" is expanded in shell commands only";
  EXPECT_EQ(OfList({"echo", "$HOME", "~/x"}), "\"$HOME\"" + variable);
  EXPECT_EQ(OfList({"$HOME/bin/x"}), "\"$HOME/bin/x\"" + variable);
  EXPECT_EQ(OfList({"cp", "--to=${A}/b"}, false), "\"--to=${A}/b\"" + variable);
  EXPECT_EQ(OfList({"echo", "~/x"}), "\"~/x\"" + home);
  for (const Words& words : std::vector<Words>{{"sh", "-c", "echo $HOME ~/x"},
                                               {"awk", "{print $NF}"},
                                               {"sed", "s/$x//"},
                                               {"perl", "-e", "$x = 1; print $x"}}) {
    EXPECT_EQ(OfList(words), "") << absl::StrJoin(words, " ");
  }
  EXPECT_EQ(OfList({"echo", "$5", "a$", "a~b", "price: $x", "100$"}), "");
  EXPECT_TRUE(NamesHome("~/bin:/usr/bin"));
  EXPECT_TRUE(NamesHome("/usr/bin:~/bin"));
  EXPECT_FALSE(NamesHome("a~/b"));
  EXPECT_TRUE(NamesCommand("built on $(date)"));
  EXPECT_TRUE(NamesCommand("`pwd`/bin"));
  EXPECT_FALSE(NamesCommand("it`s"));
  EXPECT_FALSE(NamesCommand("$("));
}

}  // namespace
}  // namespace kartograph::cli
