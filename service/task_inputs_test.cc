#include "service/task_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace kartograph::service {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kId(64, 'a');
const std::string kOther(64, 'b');

v1::TaskSpec Task() {
  v1::TaskSpec spec;
  spec.set_name("a");
  spec.mutable_command()->add_arguments("true");
  return spec;
}

std::vector<planner::Problem> ProblemsOf(const v1::TaskSpec& spec) {
  planner::ResourceNames names;
  ProblemList problems;
  ConvertTask(spec, "task", names, problems);
  return problems.problems();
}

auto At(const std::string& field, const std::string& words) {
  return AllOf(Field(&planner::Problem::field, field),
               Field(&planner::Problem::message, HasSubstr(words)));
}

TEST(TaskInputsTest, ArePartOfThePayload) {
  v1::TaskSpec spec = Task();
  spec.set_input(std::string("a\0b", 3));
  spec.add_blobs(kId);
  spec.add_blobs(kOther);
  planner::ResourceNames names;
  ProblemList problems;
  const scheduler::TaskSubmission task = ConvertTask(spec, "task", names, problems);
  EXPECT_THAT(problems.problems(), IsEmpty());
  EXPECT_THAT(task.blobs, ElementsAre(kId, kOther));
  executor::Payload payload;
  ASSERT_TRUE(payload.ParseFromString(task.payload));
  EXPECT_EQ(payload.input(), std::string("a\0b", 3));
  EXPECT_THAT(payload.blobs(), ElementsAre(kId, kOther));

  spec = Task();
  spec.set_input_blob(kId);
  const scheduler::TaskSubmission other = ConvertTask(spec, "task", names, problems);
  EXPECT_THAT(problems.problems(), IsEmpty());
  EXPECT_THAT(other.blobs, ElementsAre(kId));
  ASSERT_TRUE(payload.ParseFromString(other.payload));
  EXPECT_EQ(payload.input_blob(), kId);
}

TEST(TaskInputsTest, AnInputHasALimit) {
  v1::TaskSpec spec = Task();
  spec.set_input(std::string(1 << 20, 'x'));
  EXPECT_THAT(ProblemsOf(spec), IsEmpty());
  spec.set_input(std::string((1 << 20) + 1, 'x'));
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(At("task.input", "put more of it as a blob")));
  // Into a container it can only be passed by its command.
  spec.mutable_container()->set_image("alpine:3");
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(At("task.input", "in a container")));
  spec.set_input(std::string(16 << 10, 'x'));
  EXPECT_THAT(ProblemsOf(spec), IsEmpty());
  spec.mutable_command()->clear_arguments();
  spec.mutable_command()->set_shell(": " + std::string(100000, 'x'));
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(At("task.input", "shell line")));
}

TEST(TaskInputsTest, AContainerHasNoBlobs) {
  v1::TaskSpec spec = Task();
  spec.mutable_container()->set_image("alpine:3");
  spec.add_blobs(kId);
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(At("task.blobs", "a container has no blobs")));
  spec.clear_blobs();
  spec.set_input_blob(kId);
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(At("task.input_blob", "a container has no blobs")));
}

TEST(TaskInputsTest, InputAndBlobExcludeEachOther) {
  v1::TaskSpec spec = Task();
  spec.set_input("x");
  spec.set_input_blob(kId);
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(At("task.input", "only one of them")));
}

TEST(TaskInputsTest, IdsOfBlobsHaveAForm) {
  v1::TaskSpec spec = Task();
  spec.set_input_blob("../token");
  spec.add_blobs(kId);
  spec.add_blobs("sha256:" + kId);
  spec.add_blobs(kId);
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(At("task.input_blob", "64 lower-case hexadecimal"),
                                            At("task.blobs[1]", "64 lower-case hexadecimal"),
                                            At("task.blobs[2]", "twice")));
  spec = Task();
  for (int i = 0; i < 100; ++i) spec.add_blobs(absl::StrCat(100 + i, kId.substr(3)));
  EXPECT_THAT(ProblemsOf(spec), IsEmpty());
  spec.add_blobs(kOther);
  EXPECT_THAT(ProblemsOf(spec), ElementsAre(At("task.blobs", "at most 100")));
}

TEST(BlobReferencesTest, NamesEachThatIsNotKept) {
  const std::string folder = testing::TempDir() + "/references";
  auto store = BlobStore::Open({.folder = folder, .disk_reserve = 0});
  ASSERT_TRUE(store.ok()) << store.status();
  Sha256 digest;
  digest.Add("content");
  const std::string kept = digest.Hex();
  auto upload = (*store)->Begin(kept, 7);
  ASSERT_TRUE(upload.ok()) << upload.status();
  ASSERT_NE(*upload, nullptr);
  ASSERT_TRUE((*upload)->Append("content").ok());
  ASSERT_TRUE((*upload)->Finish().ok());

  BlobReferences references(store->get());
  v1::TaskSpec spec = Task();
  spec.set_input_blob(kept);
  spec.add_blobs(kept);
  ProblemList problems;
  references.Check(spec, "task", problems);
  EXPECT_THAT(problems.problems(), IsEmpty());
  spec.set_input_blob(kId);
  spec.add_blobs(kId);
  spec.add_blobs("of another form, which is said elsewhere");
  references.Check(spec, "task", problems);
  EXPECT_THAT(problems.problems(), ElementsAre(At("task.input_blob", "put it first"),
                                               At("task.blobs[1]", "put it first")));
}

TEST(BlobReferencesTest, SomeClustersHaveNoBlobs) {
  BlobReferences references(nullptr);
  v1::TaskSpec spec = Task();
  spec.set_input("x");
  ProblemList problems;
  references.Check(spec, "task", problems);
  EXPECT_THAT(problems.problems(), IsEmpty());
  spec.add_blobs(kId);
  references.Check(spec, "task", problems);
  EXPECT_THAT(problems.problems(), ElementsAre(At("task.blobs[0]", "cannot read blobs")));
}

}  // namespace
}  // namespace kartograph::service
