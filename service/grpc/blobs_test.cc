// Blobs over gRPC: PutBlob, FindMissingBlobs, and tasks that refer to them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "service/grpc/testing/grpc_harness.h"

namespace kartograph::service {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string IdOf(absl::string_view content) {
  Sha256 digest;
  digest.Add(content);
  return digest.Hex();
}

class BlobsTest : public testing::Test {
 protected:
  // Announces id and size, and sends the content in two parts.
  grpc::Status Put(const std::string& id, int64_t size, const std::string& content) {
    context_ = std::make_unique<grpc::ClientContext>();
    v1::PutBlobResponse response;
    const auto writer = grpc_.stub->PutBlob(context_.get(), &response);
    v1::PutBlobRequest message;
    message.mutable_blob()->set_blob_id(id);
    message.mutable_blob()->set_size(size);
    writer->Write(message);
    const size_t half = content.size() / 2;
    for (const std::string& part : {content.substr(0, half), content.substr(half)}) {
      message.set_data(part);
      if (!writer->Write(message)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }
  grpc::Status Put(const std::string& content) {
    return Put(IdOf(content), static_cast<int64_t>(content.size()), content);
  }
  // What the last Put was told.
  std::string Field() {
    const v1::Problems problems = GrpcHarness::ProblemsOf(*context_);
    return problems.problems_size() == 1 ? problems.problems(0).field() : "not one problem";
  }
  std::vector<std::string> Missing(const std::vector<std::string>& ids) {
    grpc::ClientContext context;
    v1::FindMissingBlobsRequest request;
    request.mutable_blob_ids()->Assign(ids.begin(), ids.end());
    v1::FindMissingBlobsResponse response;
    const grpc::Status status = grpc_.stub->FindMissingBlobs(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return {response.blob_ids().begin(), response.blob_ids().end()};
  }

  GrpcHarness grpc_;
  std::unique_ptr<grpc::ClientContext> context_;
};

TEST_F(BlobsTest, ArePutOnce) {
  const std::string content(3 << 20, 'x');
  EXPECT_THAT(Missing({IdOf(content)}), ElementsAre(IdOf(content)));
  const grpc::Status first = Put(content);
  EXPECT_TRUE(first.ok()) << first.error_message();
  EXPECT_THAT(Missing({IdOf("other"), IdOf(content)}), ElementsAre(IdOf("other")));
  const grpc::Status second = Put(content);
  EXPECT_TRUE(second.ok()) << second.error_message();
  EXPECT_TRUE(Put("").ok());
}

TEST_F(BlobsTest, SaysWhatIsWrongWithAPut) {
  EXPECT_EQ(Put("nonsense", 3, "abc").error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Field(), "blob.blob_id");
  EXPECT_EQ(Put(IdOf("abc"), 3, "abd").error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Field(), "blob.blob_id");
  EXPECT_EQ(Put(IdOf("abc"), 2, "abc").error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Field(), "blob.size");
  EXPECT_EQ(Put(IdOf("abc"), 4, "abc").error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Field(), "blob.size");
  const grpc::Status large = Put(IdOf("abc"), (64 << 20) + 1, "abc");
  EXPECT_EQ(large.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(large.error_message(), HasSubstr("--max-blob"));
  EXPECT_THAT(Missing({IdOf("abc")}), ElementsAre(IdOf("abc")));
}

TEST_F(BlobsTest, SaysHowThePartsFollowEachOther) {
  grpc::ClientContext nothing;
  v1::PutBlobResponse response;
  auto writer = grpc_.stub->PutBlob(&nothing, &response);
  writer->WritesDone();
  EXPECT_THAT(writer->Finish().error_message(), HasSubstr("first message must be `blob`"));

  grpc::ClientContext data_first;
  writer = grpc_.stub->PutBlob(&data_first, &response);
  v1::PutBlobRequest message;
  message.set_data("abc");
  writer->Write(message);
  writer->WritesDone();
  EXPECT_THAT(writer->Finish().error_message(), HasSubstr("first message must be `blob`"));

  grpc::ClientContext twice;
  writer = grpc_.stub->PutBlob(&twice, &response);
  message.mutable_blob()->set_blob_id(IdOf("abc"));
  message.mutable_blob()->set_size(3);
  writer->Write(message);
  writer->Write(message);
  writer->WritesDone();
  EXPECT_THAT(writer->Finish().error_message(), HasSubstr("only the first message is `blob`"));
}

TEST_F(BlobsTest, AClientThatGoesAwayLeavesNothing) {
  {
    grpc::ClientContext context;
    v1::PutBlobResponse response;
    const auto writer = grpc_.stub->PutBlob(&context, &response);
    v1::PutBlobRequest message;
    message.mutable_blob()->set_blob_id(IdOf("abc"));
    message.mutable_blob()->set_size(3);
    writer->Write(message);
    message.set_data("a");
    writer->Write(message);
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::CANCELLED);
  }
  ServiceHarness::Eventually([&] { return grpc_.below.parts.limits->streams.used() == 0; });
  EXPECT_THAT(Missing({IdOf("abc")}), ElementsAre(IdOf("abc")));
  EXPECT_TRUE(Put("abc").ok());
}

TEST_F(BlobsTest, AsksOnlyForWhatCanBe) {
  grpc::ClientContext context;
  v1::FindMissingBlobsRequest request;
  request.add_blob_ids(IdOf("abc"));
  request.add_blob_ids("abc");
  v1::FindMissingBlobsResponse response;
  EXPECT_EQ(grpc_.stub->FindMissingBlobs(&context, request, &response).error_code(),
            grpc::INVALID_ARGUMENT);
  EXPECT_EQ(GrpcHarness::ProblemsOf(context).problems(0).field(), "blob_ids[1]");
  grpc::ClientContext many;
  request.clear_blob_ids();
  for (int i = 0; i < 1001; ++i) request.add_blob_ids(IdOf("abc"));
  EXPECT_THAT(grpc_.stub->FindMissingBlobs(&many, request, &response).error_message(),
              HasSubstr("at most 1000"));
}

TEST_F(BlobsTest, ATaskRefersToWhatIsKept) {
  ASSERT_TRUE(Put("content").ok());
  v1::TaskSpec task = GrpcHarness::Task("a");
  task.set_input_blob(IdOf("content"));
  task.add_blobs(IdOf("other"));
  v1::GraphSpec graph;
  graph.set_name("graph");
  v1::SubmitGraphResponse made;
  grpc::ClientContext context;
  EXPECT_EQ(grpc_.Submit(graph, {task}, made, context).error_code(), grpc::INVALID_ARGUMENT);
  const v1::Problems problems = GrpcHarness::ProblemsOf(context);
  ASSERT_EQ(problems.problems_size(), 1);
  EXPECT_EQ(problems.problems(0).field(), "tasks[\"a\"].blobs[0]");
  EXPECT_THAT(problems.problems(0).message(), HasSubstr("is not kept; put it first"));

  ASSERT_TRUE(Put("other").ok());
  grpc::ClientContext again;
  const grpc::Status status = grpc_.Submit(graph, {task}, made, again);
  ASSERT_TRUE(status.ok()) << status.error_message();
  v1::GetTaskRequest request;
  request.set_graph_id(made.graph_id());
  request.set_task_name("a");
  v1::Task known;
  grpc::ClientContext asking;
  ASSERT_TRUE(grpc_.stub->GetTask(&asking, request, &known).ok());
  EXPECT_EQ(known.spec().input_blob(), IdOf("content"));
  EXPECT_THAT(known.spec().blobs(), ElementsAre(IdOf("other")));
  EXPECT_THAT(*grpc_.below.history.reader->UnusedBlobs({IdOf("content"), IdOf("other"), "x"}),
              ElementsAre("x"));
}

TEST(NoBlobsTest, AClusterMayHaveNone) {
  GrpcHarness grpc([](ServiceParts& parts) { parts.blobs = nullptr; });
  grpc::ClientContext putting;
  v1::PutBlobResponse put;
  const auto writer = grpc.stub->PutBlob(&putting, &put);
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), grpc::FAILED_PRECONDITION);
  grpc::ClientContext finding;
  v1::FindMissingBlobsResponse missing;
  EXPECT_EQ(grpc.stub->FindMissingBlobs(&finding, {}, &missing).error_code(),
            grpc::FAILED_PRECONDITION);
  v1::TaskSpec task = GrpcHarness::Task("a");
  task.set_input_blob(IdOf("content"));
  v1::ExecuteRequest request;
  *request.mutable_task() = task;
  v1::ExecuteResponse response;
  grpc::ClientContext executing;
  EXPECT_THAT(grpc.stub->Execute(&executing, request, &response).error_message(),
              HasSubstr("tasks of this cluster cannot read blobs yet"));
  EXPECT_EQ(GrpcHarness::ProblemsOf(executing).problems(0).field(), "task.input_blob");
}

}  // namespace
}  // namespace kartograph::service
