#include "executor/runner/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::executor {
namespace {

namespace fs = std::filesystem;
using planner::AttemptId;
using planner::TaskKey;

AttemptId Id(uint32_t graph, uint32_t index) { return AttemptId::Of(TaskKey::Of(graph, index), 1); }

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class SandboxTest : public ::testing::Test {
 protected:
  SandboxTest() { OpenIn(getenv("TEST_TMPDIR")); }
  ~SandboxTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  void OpenIn(const std::string& place) {
    folder_ = absl::StrCat(place, "/sandbox.XXXXXX");
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    root_ = folder_ + "/root";
    absl::StatusOr<std::unique_ptr<Sandboxes>> opened = Sandboxes::Open(root_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    sandboxes_ = *std::move(opened);
  }
  std::string Make(AttemptId attempt) {
    absl::StatusOr<std::string> made = sandboxes_->Make(attempt);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *made : "";
  }
  absl::Status Remove() {
    return sandboxes_->RemoveDiscarded([] { return false; });
  }
  std::vector<std::string> Root() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(root_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  std::string folder_;
  std::string root_;
  std::unique_ptr<Sandboxes> sandboxes_;
};

TEST_F(SandboxTest, IsMadeEmpty) {
  absl::StatusOr<std::string> made = sandboxes_->Make(Id(17, 42));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(*made, root_ + "/17/42.1");
  EXPECT_TRUE(fs::is_empty(*made));
  EXPECT_EQ(sandboxes_->Read(Id(17, 42), "stdout", 0, 100)->data, "");
  absl::StatusOr<Descriptor> log = sandboxes_->OpenToWrite(Id(17, 42), "stderr");
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(write(log->get(), "err", 3), 3);
  EXPECT_EQ(ReadWhole(*made + "/stderr"), "err");
  EXPECT_FALSE(fs::exists(*made + "/stdout"));
  EXPECT_EQ(*sandboxes_->ReadResult(Id(17, 42), 100), std::nullopt);
}

TEST_F(SandboxTest, OneThatIsThereIsDiscarded) {
  absl::StatusOr<std::string> old = sandboxes_->Make(Id(17, 42));
  ASSERT_TRUE(old.ok());
  std::ofstream(*old + "/result") << "old";
  absl::StatusOr<Descriptor> log = sandboxes_->OpenToWrite(Id(17, 42), "stdout");
  ASSERT_TRUE(log.ok()) << log.status();
  std::string path = Make(Id(17, 42));
  // What still writes there writes to what was its own.
  EXPECT_EQ(write(log->get(), "old", 3), 3);
  EXPECT_EQ(ReadWhole(path + "/stdout"), "");
  EXPECT_EQ(*sandboxes_->ReadResult(Id(17, 42), 100), std::nullopt);
  EXPECT_TRUE(Remove().ok());
  EXPECT_THAT(Root(), ::testing::ElementsAre("17"));
}

TEST_F(SandboxTest, ARootThatIsRemovedOrMovedAwayIsMadeAgain) {
  // As the agent's and the service's: each opened once.
  std::unique_ptr<Sandboxes> others = *Sandboxes::Open(root_);
  Make(Id(17, 0));
  fs::remove_all(root_);
  std::ofstream(Make(Id(17, 0)) + "/result") << "again";
  EXPECT_EQ(*sandboxes_->ReadResult(Id(17, 0), 100), "again");
  EXPECT_EQ(others->Read(Id(17, 0), "result", 0, 100)->data, "again");

  fs::rename(root_, folder_ + "/old");
  Make(Id(18, 0));
  others->Discard(planner::GraphId{18});
  EXPECT_FALSE(fs::exists(root_ + "/18"));
  EXPECT_TRUE(Remove().ok());
  EXPECT_THAT(Root(), ::testing::IsEmpty());
  EXPECT_TRUE(fs::exists(folder_ + "/old/17/0.1/result"));

  fs::remove_all(root_);
  std::ofstream(root_) << "in the way";
  EXPECT_THAT(sandboxes_->Make(Id(19, 0)).status().message(),
              ::testing::HasSubstr("cannot open the folder of sandboxes"));
  EXPECT_FALSE(Remove().ok());
  fs::remove(root_);
  Make(Id(19, 0));
}

TEST_F(SandboxTest, FollowsNoLinkThatATaskHasMade) {
  const std::string victim = folder_ + "/victim";
  fs::create_directories(victim);
  std::ofstream(victim + "/file") << "precious";

  // In place of a log, of the sandbox, and of all sandboxes of the graph.
  std::string path = Make(Id(17, 0));
  fs::remove(path + "/stdout");
  fs::create_symlink(victim + "/file", path + "/stdout");
  Make(Id(17, 0));
  fs::remove_all(path);
  fs::create_directory_symlink(victim, path);
  Make(Id(17, 0));
  fs::create_directory_symlink(victim, root_ + "/18");
  EXPECT_FALSE(sandboxes_->Make(Id(18, 0)).ok());
  EXPECT_FALSE(sandboxes_->Read(Id(18, 0), "file", 0, 100).ok());
  EXPECT_TRUE(sandboxes_->Make(Id(17, 1)).ok());

  for (planner::GraphId graph : {17, 18}) sandboxes_->Discard(graph);
  EXPECT_TRUE(Remove().ok());
  EXPECT_THAT(Root(), ::testing::IsEmpty());
  EXPECT_EQ(ReadWhole(victim + "/file"), "precious");
  EXPECT_EQ(std::distance(fs::directory_iterator(victim), fs::directory_iterator()), 1);
}

TEST_F(SandboxTest, AGraphsNumberMayBeDiscardedTwice) {
  Make(Id(17, 0));
  sandboxes_->Discard(planner::GraphId{17});
  Make(Id(17, 0));
  sandboxes_->Discard(planner::GraphId{17});
  EXPECT_FALSE(fs::exists(root_ + "/17"));
  sandboxes_->Discard(Id(17, 1));  // which is not there
  EXPECT_TRUE(Remove().ok());
  EXPECT_THAT(Root(), ::testing::IsEmpty());
}

// Lowers how many descriptors may be open.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t count) {
    getrlimit(RLIMIT_NOFILE, &before_);
    struct rlimit low = before_;
    low.rlim_cur = count;
    setrlimit(RLIMIT_NOFILE, &low);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  struct rlimit before_;
};

TEST_F(SandboxTest, AllButOneFileMayBeDiscarded) {
  const std::string path = Make(Id(17, 42));
  for (const char* name : {"stdout", "stderr", "result"})
    std::ofstream(path + "/" + name) << "text";
  fs::create_directories(path + "/work/deep");
  fs::create_symlink(folder_, path + "/link");
  sandboxes_->DiscardAllBut(Id(17, 42), "result");
  EXPECT_EQ(*sandboxes_->ReadResult(Id(17, 42), 100), "text");
  EXPECT_EQ(std::distance(fs::directory_iterator(path), {}), 1);
  EXPECT_TRUE(Remove().ok());
  EXPECT_THAT(Root(), ::testing::ElementsAre("17"));
  EXPECT_TRUE(fs::exists(folder_));
  sandboxes_->DiscardAllBut(Id(18, 1), "result");  // which is not there
}

TEST_F(SandboxTest, RemovesFoldersOfAnyDepthWithFewDescriptors) {
  // In memory: a busy disk takes minutes for so many folders.
  if (access("/dev/shm", W_OK) == 0) {
    fs::remove_all(folder_);
    OpenIn("/dev/shm");
  }
  Descriptor at(open(Make(Id(17, 0)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int depth = 0; depth < 20000; ++depth) {
    ASSERT_EQ(mkdirat(at.get(), "deeper", 0777), 0);
    if (depth % 100 == 0) {
      Descriptor file(openat(at.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
      ASSERT_TRUE(file.ok());
      ASSERT_EQ(mkdirat(at.get(), "beside", 0777), 0);
    }
    at.Reset(openat(at.get(), "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at.ok());
  }
  at.Reset();
  FewDescriptors few(64);
  sandboxes_->Discard(planner::GraphId{17});
  absl::Status removed = Remove();
  EXPECT_TRUE(removed.ok()) << removed;
  EXPECT_THAT(Root(), ::testing::IsEmpty());
}

TEST_F(SandboxTest, RemovesManyFoldersBesideEachOther) {
  const std::string path = Make(Id(17, 0));
  for (int i = 0; i < 50; ++i) {
    const std::string folder = absl::StrCat(path, "/", i, "/a/b");
    fs::create_directories(folder);
    std::ofstream(folder + "/file") << i;
    chmod(absl::StrCat(path, "/", i, "/a").c_str(), 0);
  }
  sandboxes_->Discard(planner::GraphId{17});
  EXPECT_TRUE(Remove().ok());
  EXPECT_THAT(Root(), ::testing::IsEmpty());
}

TEST_F(SandboxTest, StopsWhenItIsTold) {
  const std::string path = Make(Id(17, 0));
  for (int i = 0; i < 10; ++i) std::ofstream(absl::StrCat(path, "/", i)) << i;
  sandboxes_->Discard(planner::GraphId{17});
  int asked = 0;
  EXPECT_TRUE(sandboxes_->RemoveDiscarded([&] { return ++asked > 5; }).ok());
  EXPECT_EQ(Root().size(), 1u);
  EXPECT_TRUE(Remove().ok());
  EXPECT_THAT(Root(), ::testing::IsEmpty());
}

// Sets or clears the attribute that not even root may delete against; false where there is none.
bool SetImmutable(const std::string& path, bool on) {
  Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  int flags = 0;
  if (ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return false;
  flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
  return ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) == 0;
}

TEST_F(SandboxTest, SaysOnceWhatCannotBeRemoved) {
  const std::string path = Make(Id(17, 0));
  for (const char* name : {"kept", "other"}) std::ofstream(absl::StrCat(path, "/", name)) << name;
  if (!SetImmutable(path + "/kept", true)) GTEST_SKIP() << "this file system has no such attribute";
  sandboxes_->Discard(planner::GraphId{17});
  absl::Status removed = Remove();
  EXPECT_EQ(removed.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(removed.message()),
              ::testing::MatchesRegex("cannot remove 1 files and folders, such as .*/root/"
                                      "discarded[^/]*/0.1/kept: Operation not permitted"));
  ASSERT_EQ(Root().size(), 1u);
  const std::string left = absl::StrCat(root_, "/", Root()[0], "/0.1");
  EXPECT_FALSE(fs::exists(left + "/other"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Remove().ok()) << "said again";
  // What else cannot be removed is reported.
  const std::string next = Make(Id(18, 0));
  std::ofstream(next + "/kept") << "kept";
  ASSERT_TRUE(SetImmutable(next + "/kept", true));
  sandboxes_->Discard(planner::GraphId{18});
  EXPECT_FALSE(Remove().ok());
  EXPECT_TRUE(Remove().ok());
  // And all goes when it can.
  for (const std::string& name : Root()) {
    EXPECT_TRUE(SetImmutable(absl::StrCat(root_, "/", name, "/0.1/kept"), false));
  }
  EXPECT_TRUE(Remove().ok());
  EXPECT_THAT(Root(), ::testing::IsEmpty());
}

TEST_F(SandboxTest, DoesNotEmptyWhatIsMountedInASandbox) {
  const std::string victim = folder_ + "/victim";
  fs::create_directories(victim);
  std::ofstream(victim + "/file") << "precious";
  const std::string path = Make(Id(17, 0));
  fs::create_directories(path + "/mounted");
  if (mount(victim.c_str(), (path + "/mounted").c_str(), nullptr, MS_BIND, nullptr) != 0) {
    GTEST_SKIP() << "nothing can be mounted here";
  }
  sandboxes_->Discard(planner::GraphId{17});
  EXPECT_FALSE(Remove().ok());
  EXPECT_EQ(ReadWhole(victim + "/file"), "precious");
  ASSERT_EQ(Root().size(), 1u);
  const std::string mounted = absl::StrCat(root_, "/", Root()[0], "/0.1/mounted");
  EXPECT_EQ(umount2(mounted.c_str(), MNT_DETACH), 0);
  EXPECT_TRUE(Remove().ok());
  EXPECT_THAT(Root(), ::testing::IsEmpty());
  EXPECT_EQ(ReadWhole(victim + "/file"), "precious");
}

TEST_F(SandboxTest, AResultThatIsNoFileIsTheTasksFault) {
  const std::string path = Make(Id(17, 0));
  fs::create_directories(path + "/result");
  EXPECT_TRUE(absl::IsNotFound(sandboxes_->ReadResult(Id(17, 0), 100).status()));
  fs::remove(path + "/result");
  ASSERT_EQ(mknod((path + "/result").c_str(), S_IFSOCK | 0666, 0), 0);
  EXPECT_TRUE(absl::IsNotFound(sandboxes_->ReadResult(Id(17, 0), 100).status()));
  fs::remove(path + "/result");
  std::ofstream(path + "/result") << "value";
  EXPECT_EQ(*sandboxes_->ReadResult(Id(17, 0), 100), "value");
  EXPECT_TRUE(absl::IsOutOfRange(sandboxes_->ReadResult(Id(17, 0), 4).status()));
}

TEST_F(SandboxTest, WithoutDescriptorsAResultIsUnavailable) {
  const std::string path = Make(Id(17, 0));
  std::ofstream(path + "/result") << "value";
  FewDescriptors few(32);
  std::vector<Descriptor> taken;
  do {
    taken.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  } while (taken.back().ok());
  EXPECT_TRUE(absl::IsUnavailable(sandboxes_->ReadResult(Id(17, 0), 100).status()));
  EXPECT_FALSE(sandboxes_->Make(Id(17, 1)).ok());
}

TEST_F(SandboxTest, AResultIsReadInParts) {
  const std::string sandbox = Make(Id(1, 2));
  EXPECT_TRUE(absl::IsNotFound(sandboxes_->ReadResultPart(Id(1, 2), 0, 5).status()));
  std::ofstream(sandbox + "/result") << "0123456789";
  EXPECT_EQ(*sandboxes_->ReadResultPart(Id(1, 2), 0, 5), "01234");
  EXPECT_EQ(*sandboxes_->ReadResultPart(Id(1, 2), 7, 5), "789");
  EXPECT_EQ(*sandboxes_->ReadResultPart(Id(1, 2), 10, 5), "");
}

}  // namespace
}  // namespace kartograph::executor
