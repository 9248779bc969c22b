#include "service/blob_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/testing/manual_clock.h"
#include "planner/problems.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::service {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string IdOf(absl::string_view content) {
  Sha256 digest;
  digest.Add(content);
  return digest.Hex();
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The one field that is wrong.
std::string FieldOf(const absl::Status& status) {
  const std::vector<planner::Problem> problems = planner::ProblemsOf(status);
  return problems.size() == 1 ? problems[0].field
                              : absl::StrCat("not one problem: ", status.ToString());
}

class BlobStoreTest : public ::testing::Test {
 protected:
  BlobStoreTest() {
    options_.folder = folder_.path() + "/blobs";
    options_.disk_reserve = 0;
    options_.clock = &clock_;
    Open();
  }

  // As a restart of the service does.
  void Open() {
    store_.reset();
    auto store = BlobStore::Open(options_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  std::string Path(const std::string& id) const { return options_.folder + "/" + id; }
  // Empties and refills the file, as a disk that has lost part of it.
  void Damage(const std::string& id, const std::string& content) const {
    fs::permissions(Path(id), fs::perms::owner_all);
    std::ofstream(Path(id), std::ios::binary) << content;
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(options_.folder)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  absl::Status TryToPut(const std::string& id, int64_t size, absl::string_view content) {
    auto upload = store_->Begin(id, size);
    if (!upload.ok()) return upload.status();
    if (*upload == nullptr) return absl::AlreadyExistsError("it is kept");
    for (size_t at = 0; at < content.size(); at += 1000) {
      if (absl::Status status = (*upload)->Append(content.substr(at, 1000)); !status.ok()) {
        return status;
      }
    }
    return (*upload)->Finish();
  }
  std::string Put(absl::string_view content) {
    const std::string id = IdOf(content);
    const absl::Status status = TryToPut(id, static_cast<int64_t>(content.size()), content);
    EXPECT_TRUE(status.ok()) << status;
    return id;
  }
  std::vector<std::string> Missing(const std::vector<std::string>& ids) {
    const auto missing = store_->Missing(ids);
    EXPECT_TRUE(missing.ok()) << missing.status();
    return *missing;
  }

  void Refer(planner::GraphId graph, const std::vector<std::string>& blobs) {
    storage::TaskSubmitted task = storage::SomeTask(graph, 0, "a");
    task.blobs = blobs;
    const std::vector<storage::Record> records = {storage::SomeGraph(graph), task};
    ASSERT_TRUE(history_.writer->Commit(records).ok());
  }
  void Forget(planner::GraphId graph) {
    const std::vector<storage::Record> records = {
        storage::TaskEndOf(graph, 0, planner::TaskState::kSucceeded),
        storage::EndOf(graph, planner::GraphState::kSucceeded, storage::At(100))};
    ASSERT_TRUE(history_.writer->Commit(records).ok());
    const std::vector<planner::GraphId> graphs = {graph};
    ASSERT_THAT(*history_.writer->Prune(absl::InfiniteFuture(), graphs), ElementsAre(graph));
    while (*history_.writer->RemoveSome(1000)) {
    }
  }
  void Sweep() {
    for (bool more = true; more;) {
      const auto swept = store_->Sweep(*history_.reader);
      ASSERT_TRUE(swept.ok()) << swept.status();
      more = *swept;
    }
  }

  storage::TestFolder folder_;
  storage::History history_ = OpenIn(folder_);
  testing::ManualClock clock_;
  BlobStore::Options options_;
  std::unique_ptr<BlobStore> store_;
};

TEST(BlobIdTest, HasOneForm) {
  const std::string id = IdOf("");
  EXPECT_EQ(id, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_TRUE(IsBlobId(id));
  for (const std::string& wrong : {std::string(), id.substr(1), id + "0", "E" + id.substr(1),
                                   "g" + id.substr(1), "/" + id.substr(1), std::string(64, '\0')}) {
    EXPECT_FALSE(IsBlobId(wrong)) << wrong;
  }
}

TEST_F(BlobStoreTest, KeepsWhatIsPut) {
  const std::string content(12345, 'x');
  const std::string id = IdOf(content);
  EXPECT_FALSE(store_->Keep(id));
  EXPECT_THAT(Missing({id, IdOf("other")}), ElementsAre(id, IdOf("other")));
  EXPECT_EQ(Put(content), id);
  EXPECT_TRUE(store_->Keep(id));
  EXPECT_THAT(Missing({id, IdOf("other")}), ElementsAre(IdOf("other")));
  EXPECT_EQ(ReadWhole(Path(id)), content);
  EXPECT_THAT(Files(), ElementsAre(id));
  struct stat info;
  ASSERT_EQ(stat(Path(id).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0444u);
  ASSERT_EQ(stat(options_.folder.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  // It need not be sent again, also after a restart.
  EXPECT_EQ(*store_->Begin(id, 12345), nullptr);
  Open();
  EXPECT_TRUE(store_->Keep(id));
  EXPECT_THAT(Missing({id}), IsEmpty());
  EXPECT_EQ(*store_->Begin(id, 12345), nullptr);
}

TEST_F(BlobStoreTest, ABlobMayBeEmpty) {
  const std::string id = Put("");
  EXPECT_TRUE(store_->Keep(id));
  EXPECT_EQ(fs::file_size(Path(id)), 0u);
}

TEST_F(BlobStoreTest, RefusesWhatIsNotAsAnnounced) {
  const std::string id = IdOf("content");
  const absl::Status digest = TryToPut(id, 7, "Content");
  EXPECT_EQ(FieldOf(digest), "blob.blob_id");
  EXPECT_THAT(std::string(digest.message()), HasSubstr(IdOf("Content"))) << "what was sent";
  EXPECT_EQ(FieldOf(TryToPut(id, 8, "content")), "blob.size");
  EXPECT_EQ(FieldOf(TryToPut(id, 6, "content")), "blob.size");
  EXPECT_EQ(FieldOf(TryToPut(id, -1, "content")), "blob.size");
  EXPECT_EQ(FieldOf(TryToPut("../../etc/passwd", 7, "content")), "blob.blob_id");
  EXPECT_THAT(Files(), IsEmpty()) << "nothing is left of them";
  Put("content");
  EXPECT_EQ(FieldOf(TryToPut(id, 6, "content")), "blob.size") << "also of one that is kept";
}

TEST_F(BlobStoreTest, HoldsToItsLimits) {
  options_.max_blob_bytes = 100;
  options_.max_uploads = 2;
  options_.max_uploaded_bytes = 150;
  Open();
  const absl::Status large = TryToPut(IdOf("large"), 101, "");
  EXPECT_TRUE(absl::IsResourceExhausted(large));
  EXPECT_THAT(std::string(large.message()), HasSubstr("--max-blob"));
  {
    const auto first = store_->Begin(IdOf("a"), 100);
    ASSERT_TRUE(first.ok());
    EXPECT_TRUE(absl::IsResourceExhausted(store_->Begin(IdOf("b"), 100).status())) << "bytes";
    const auto second = store_->Begin(IdOf("b"), 50);
    ASSERT_TRUE(second.ok());
    EXPECT_TRUE(absl::IsResourceExhausted(store_->Begin(IdOf("c"), 0).status())) << "uploads";
  }
  const auto later = store_->Begin(IdOf("b"), 100);
  EXPECT_TRUE(later.ok()) << later.status();
}

TEST_F(BlobStoreTest, LeavesTheDisksReserve) {
  options_.disk_reserve = std::numeric_limits<int64_t>::max() / 2;
  Open();
  const absl::Status full = TryToPut(IdOf("content"), 7, "content");
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_THAT(std::string(full.message()), HasSubstr("kept in reserve"));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BlobStoreTest, NothingIsLeftOfAnUploadThatIsCutOff) {
  {
    const auto upload = store_->Begin(IdOf("content"), 7);
    ASSERT_TRUE((*upload)->Append("con").ok());
    EXPECT_EQ(Files().size(), 1u);
    EXPECT_FALSE(store_->Keep(IdOf("content")));
  }
  EXPECT_THAT(Files(), IsEmpty());
  std::ofstream(Path("upload.7")) << "of a service that was killed";
  const std::string kept = Put("kept");
  Open();
  EXPECT_THAT(Files(), ElementsAre(kept));
}

TEST_F(BlobStoreTest, TheSameMayBePutByTwoAtOnce) {
  const std::string content(100000, 'c');
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      const absl::Status status = TryToPut(IdOf(content), 100000, content);
      EXPECT_TRUE(status.ok() || absl::IsAlreadyExists(status)) << status;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_THAT(Files(), ElementsAre(IdOf(content)));
  EXPECT_EQ(ReadWhole(Path(IdOf(content))), content);
}

TEST_F(BlobStoreTest, NoticesWhatWasTruncated) {
  const std::string id = Put("content");
  Damage(id, "con");
  EXPECT_FALSE(store_->Keep(id)) << "its size was known";
  EXPECT_THAT(Missing({id}), ElementsAre(id));
  EXPECT_THAT(Files(), IsEmpty());
  Put("content");
  EXPECT_TRUE(store_->Keep(id));
}

TEST_F(BlobStoreTest, LooksIntoEachFileOnceAfterAStart) {
  const std::string id = Put("content");
  const std::string other = Put("other");
  Damage(id, "CONTENT");
  Open();
  EXPECT_THAT(Missing({id, other}), ElementsAre(id));
  EXPECT_EQ(Put("content"), id);
  EXPECT_EQ(ReadWhole(Path(id)), "content");
  // A put notices it, too.
  Damage(other, "Other");
  Open();
  EXPECT_EQ(Put("other"), other);
  EXPECT_EQ(ReadWhole(Path(other)), "other");
}

TEST_F(BlobStoreTest, SomethingElseInItsPlaceIsNoBlob) {
  const std::string id = IdOf("content");
  fs::create_symlink("/etc/passwd", Path(id));
  EXPECT_FALSE(store_->Keep(id));
  EXPECT_THAT(Missing({id}), ElementsAre(id));
  Put("content");
  EXPECT_EQ(ReadWhole(Path(id)), "content");
  EXPECT_FALSE(fs::is_symlink(Path(id)));
}

TEST_F(BlobStoreTest, RemovesWhatNobodyNeedsAfterADay) {
  const std::string used = Put("used");
  const std::string unused = Put("unused");
  const std::string asked = Put("asked");
  Refer(1, {used});
  Sweep();
  EXPECT_THAT(Files(), UnorderedElementsAre(used, unused, asked));
  clock_.Advance(absl::Hours(23));
  EXPECT_THAT(Missing({asked}), IsEmpty());
  clock_.Advance(absl::Hours(2));
  Sweep();
  EXPECT_THAT(Files(), UnorderedElementsAre(used, asked));
  EXPECT_FALSE(store_->Keep(unused));
  EXPECT_TRUE(store_->Keep(asked)) << "a task is about to refer to it";
  clock_.Advance(absl::Hours(23));
  Sweep();
  EXPECT_THAT(Files(), UnorderedElementsAre(used, asked));
  clock_.Advance(absl::Hours(2));
  Sweep();
  EXPECT_THAT(Files(), ElementsAre(used));
}

TEST_F(BlobStoreTest, WhatIsInUseGoesWithItsLastGraph) {
  const std::string shared = Put("shared");
  const std::string own = Put("own");
  Refer(1, {shared, own});
  Refer(2, {shared});
  clock_.Advance(absl::Hours(24 * 365));
  Open();
  Sweep();
  EXPECT_THAT(Files(), UnorderedElementsAre(shared, own));
  Forget(1);
  Sweep();
  EXPECT_THAT(Files(), ElementsAre(shared));
  Forget(2);
  Sweep();
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BlobStoreTest, AWallClockThatIsSetRemovesNothingThatIsBeingUsed) {
  const std::string referred = Put("referred");
  const std::string fresh = Put("fresh");
  Refer(1, {referred});
  clock_.StepWall(absl::Hours(24 * 365));
  Sweep();
  EXPECT_THAT(Files(), UnorderedElementsAre(referred, fresh)) << "no time has passed";
  // After a restart nobody knows better; but what a graph refers to stays.
  Open();
  Sweep();
  EXPECT_THAT(Files(), ElementsAre(referred));
}

TEST_F(BlobStoreTest, AClockThatWasAheadKeepsNothingForEver) {
  clock_.StepWall(absl::Hours(24 * 365));
  Put("of next year");
  clock_.StepWall(-absl::Hours(24 * 365));
  Open();
  Sweep();
  EXPECT_EQ(Files().size(), 1u);
  clock_.Advance(absl::Hours(25));
  Sweep();
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BlobStoreTest, ManyAreLookedAtInParts) {
  constexpr int kBlobs = 2500;
  for (int i = 0; i < kBlobs; ++i) std::ofstream(Path(IdOf(absl::StrCat(i)))) << i;
  std::ofstream(Path("README")) << "of an operator";
  clock_.StepWall(absl::Hours(24 * 365 * 100));
  Refer(1, {IdOf("7"), IdOf("2345")});
  int calls = 1;
  while (*store_->Sweep(*history_.reader)) ++calls;
  EXPECT_EQ(calls, 3);
  EXPECT_THAT(Files(), UnorderedElementsAre("README", IdOf("7"), IdOf("2345")));
}

}  // namespace
}  // namespace kartograph::service
