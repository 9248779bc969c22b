#include "executor/mesos/executor/blob_fetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/manual_clock.h"

namespace kartograph::executor::mesos {
namespace {

using kartograph::mesos::BlobPart;
using kartograph::mesos::BlobRequest;
using planner::AttemptId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr size_t kPart = 4;

std::string IdOf(const std::string& content) {
  Sha256 digest;
  digest.Add(content);
  return digest.Hex();
}

AttemptId Attempt(uint32_t index) { return AttemptId::Of(planner::TaskKey::Of(1, index), 1); }

class BlobFetcherTest : public ::testing::Test {
 protected:
  BlobFetcherTest() {
    options_.folder = absl::StrCat(getenv("TEST_TMPDIR"), "/blobs");
    options_.disk_reserve = 0;
    options_.clock = &clock_;
    Start();
  }
  void Start() {
    absl::StatusOr<std::unique_ptr<BlobFetcher>> made = BlobFetcher::Create(options_);
    ASSERT_TRUE(made.ok()) << made.status();
    fetcher_ = *std::move(made);
  }
  // "offset" of each request, by blob; what is asked for now.
  std::vector<std::string> Asked() {
    std::vector<std::string> asked;
    for (const BlobRequest& request : fetcher_->TakeRequests()) {
      asked.push_back(absl::StrCat(request.blob_id().substr(0, 8), "@", request.offset()));
    }
    return asked;
  }
  static std::string Ask(const std::string& content, int64_t offset) {
    return absl::StrCat(IdOf(content).substr(0, 8), "@", offset);
  }
  void Send(const std::string& content, size_t offset, const std::string& id = "") {
    BlobPart part;
    part.set_blob_id(id.empty() ? IdOf(content) : id);
    part.set_offset(static_cast<int64_t>(offset));
    part.set_size(static_cast<int64_t>(content.size()));
    part.set_data(content.substr(offset, kPart));
    fetcher_->Receive(part);
  }
  void SendAll(const std::string& content) {
    for (size_t at = 0; at == 0 || at < content.size(); at += kPart) Send(content, at);
  }
  // The attempts that are ready, with their errors.
  std::vector<std::string> Ready() {
    std::vector<std::string> ready;
    for (const BlobFetcher::Ready& one : fetcher_->TakeReady()) {
      ready.push_back(absl::StrCat(planner::AttemptIdToString(one.attempt), " ",
                                   absl::StatusCodeToString(one.status.code())));
    }
    return ready;
  }
  std::vector<std::string> Files() {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(options_.folder)) {
      std::ifstream file(entry.path());
      files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return files;
  }

  testing::ManualClock clock_;
  BlobFetcher::Options options_;
  std::unique_ptr<BlobFetcher> fetcher_;
};

TEST_F(BlobFetcherTest, FetchesABlobInPartsAndOnce) {
  const std::string content = "ten bytes.";
  EXPECT_FALSE(fetcher_->Acquire(Attempt(1), {IdOf(content)}));
  EXPECT_FALSE(fetcher_->Acquire(Attempt(2), {IdOf(content)}));
  EXPECT_THAT(Asked(), ElementsAre(Ask(content, 0)));
  EXPECT_THAT(Asked(), IsEmpty());
  Send(content, 0);
  EXPECT_THAT(Asked(), ElementsAre(Ask(content, 4)));
  Send(content, 4);
  EXPECT_THAT(Ready(), IsEmpty());
  Send(content, 8);
  EXPECT_THAT(Ready(), UnorderedElementsAre("g1.1.1 OK", "g1.2.1 OK"));
  EXPECT_THAT(Files(), ElementsAre(content));
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_TRUE(fetcher_->Acquire(Attempt(3), {IdOf(content)}));
}

TEST_F(BlobFetcherTest, WaitsForAllThatAnAttemptReads) {
  EXPECT_FALSE(fetcher_->Acquire(Attempt(1), {IdOf("a"), IdOf("b")}));
  SendAll("a");
  EXPECT_THAT(Ready(), IsEmpty());
  SendAll("b");
  EXPECT_THAT(Ready(), ElementsAre("g1.1.1 OK"));
}

TEST_F(BlobFetcherTest, AsksAgainForWhatIsLost) {
  fetcher_->Acquire(Attempt(1), {IdOf("content")});
  EXPECT_THAT(Asked(), ElementsAre(Ask("content", 0)));
  EXPECT_EQ(fetcher_->NextRequest(), clock_.SteadyNow() + absl::Seconds(5));
  clock_.Advance(absl::Seconds(5));
  EXPECT_THAT(Asked(), ElementsAre(Ask("content", 0)));
  Send("content", 0);
  Send("content", 0);  // the answer to the other request
  EXPECT_THAT(Asked(), ElementsAre(Ask("content", 4)));
  Send("content", 4);
  EXPECT_THAT(Ready(), ElementsAre("g1.1.1 OK"));
  EXPECT_EQ(fetcher_->NextRequest(), SteadyTime::InfiniteFuture());
}

TEST_F(BlobFetcherTest, ABlobMayHaveNoBytes) {
  fetcher_->Acquire(Attempt(1), {IdOf("")});
  SendAll("");
  EXPECT_THAT(Ready(), ElementsAre("g1.1.1 OK"));
  EXPECT_THAT(Files(), ElementsAre(""));
}

TEST_F(BlobFetcherTest, SaysThatABlobIsNotKept) {
  fetcher_->Acquire(Attempt(1), {IdOf("a"), IdOf("b")});
  BlobPart part;
  part.set_blob_id(IdOf("a"));
  part.set_not_kept(true);
  fetcher_->Receive(part);
  const std::vector<BlobFetcher::Ready> ready = fetcher_->TakeReady();
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(ready[0].status));
  EXPECT_THAT(std::string(ready[0].status.message()), HasSubstr(IdOf("a")));
  EXPECT_THAT(Asked(), IsEmpty()) << "nobody waits for the other one";
  // It may be put again.
  EXPECT_FALSE(fetcher_->Acquire(Attempt(2), {IdOf("a")}));
  SendAll("a");
  EXPECT_THAT(Ready(), ElementsAre("g1.2.1 OK"));
}

TEST_F(BlobFetcherTest, KeepsNothingThatIsNotWhatItShouldBe) {
  fetcher_->Acquire(Attempt(1), {IdOf("right")});
  Send("wrong", 0, IdOf("right"));
  Send("wrong", 4, IdOf("right"));
  EXPECT_THAT(Ready(), ElementsAre("g1.1.1 DATA_LOSS"));
  EXPECT_THAT(Files(), IsEmpty());
  fetcher_->Acquire(Attempt(2), {IdOf("right")});
  Send("right", 0);
  Send("right but longer", 4, IdOf("right"));
  EXPECT_THAT(Ready(), ElementsAre("g1.2.1 DATA_LOSS"));
  Send("right", 0);  // that nobody has asked for
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BlobFetcherTest, WhatNobodyWaitsForIsNotFetched) {
  fetcher_->Acquire(Attempt(1), {IdOf("content")});
  Send("content", 0);
  fetcher_->Release(Attempt(1));
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BlobFetcherTest, FetchesSomeAtATime) {
  options_.max_at_once = 2;
  Start();
  fetcher_->Acquire(Attempt(1), {IdOf("a"), IdOf("b"), IdOf("c")});
  EXPECT_EQ(Asked().size(), 2u);
  for (const char* content : {"a", "b", "c"}) SendAll(content);
  EXPECT_THAT(Ready(), ElementsAre("g1.1.1 OK"));
}

TEST_F(BlobFetcherTest, KeepsWhatIsReadAndSomeOfTheRest) {
  options_.max_kept_bytes = 8;
  Start();
  for (const char* content : {"one", "two", "six"}) {
    fetcher_->Acquire(Attempt(1), {IdOf(content)});
    SendAll(content);
  }
  EXPECT_THAT(Files(), UnorderedElementsAre("two", "six"));
  fetcher_->Acquire(Attempt(2), {IdOf("two")});
  fetcher_->Acquire(Attempt(3), {IdOf("four")});
  SendAll("four");
  fetcher_->Release(Attempt(1));
  EXPECT_THAT(Files(), UnorderedElementsAre("two", "four"));
}

TEST_F(BlobFetcherTest, AFullDiskIsNotTheTasksFault) {
  options_.disk_reserve = int64_t{1} << 60;
  Start();
  fetcher_->Acquire(Attempt(1), {IdOf("content")});
  Send("content", 0);
  EXPECT_THAT(Ready(), ElementsAre("g1.1.1 RESOURCE_EXHAUSTED"));
}

}  // namespace
}  // namespace kartograph::executor::mesos
