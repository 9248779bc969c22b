#include "service/task_inputs.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/exec_limits.h"

namespace kartograph::service {
namespace {

constexpr size_t kMaxInput = 1 << 20;
// It is passed in a shell line, in which a byte may take four.
constexpr size_t kMaxContainerInput = 16 << 10;
constexpr size_t kEscaped = 4;
constexpr int kMaxBlobs = 100;

void CheckId(const std::string& id, std::string field, ProblemList& problems) {
  if (!IsBlobId(id)) problems.Add(std::move(field), id, kBlobIdRule);
}

std::string BlobField(absl::string_view task, int index) {
  return absl::StrCat(task, ".blobs[", index, "]");
}

}  // namespace

void ConvertInputs(const v1::TaskSpec& spec, absl::string_view task, executor::Payload& payload,
                   ProblemList& problems) {
  if (!spec.input().empty()) {
    const std::string field = absl::StrCat(task, ".input");
    const size_t most = spec.has_container() ? kMaxContainerInput : kMaxInput;
    const std::string size = absl::StrCat(spec.input().size(), " bytes");
    if (!spec.input_blob().empty()) {
      problems.Add(field, size, "and input_blob are both given; give only one of them");
    } else if (spec.input().size() > most) {
      problems.Add(field, size,
                   spec.has_container() ? absl::StrCat("must be at most ", most,
                                                       " bytes in a container; mount more "
                                                       "of it as a volume")
                                        : absl::StrCat("must be at most ", most,
                                                       " bytes; put more of it as a blob, "
                                                       "and give its id as input_blob"));
    } else if (spec.has_container() &&
               kEscaped * spec.input().size() + spec.command().shell().size() > kMaxExecString) {
      problems.Add(field, size,
                   "is too much beside a shell line this long: in a container both are passed in "
                   "one; shorten either");
    }
    payload.set_input(spec.input());
  }
  if (!spec.input_blob().empty()) {
    CheckId(spec.input_blob(), absl::StrCat(task, ".input_blob"), problems);
    payload.set_input_blob(spec.input_blob());
  }
  if (spec.blobs_size() > kMaxBlobs) {
    problems.Add(absl::StrCat(task, ".blobs"), absl::StrCat(spec.blobs_size(), " ids"),
                 absl::StrCat("must be at most ", kMaxBlobs, "; put several files into one blob"));
  }
  if (spec.has_container() && (spec.blobs_size() > 0 || !spec.input_blob().empty())) {
    problems.Add(absl::StrCat(task, spec.blobs_size() > 0 ? ".blobs" : ".input_blob"), "",
                 "a container has no blobs; mount the data as a volume");
  }
  absl::flat_hash_set<absl::string_view> seen;
  for (int i = 0; i < spec.blobs_size(); ++i) {
    CheckId(spec.blobs(i), BlobField(task, i), problems);
    if (!seen.insert(spec.blobs(i)).second) {
      problems.Add(BlobField(task, i), spec.blobs(i), "is given twice; give it once");
    }
  }
  *payload.mutable_blobs() = spec.blobs();
}

std::vector<std::string> BlobsOf(const v1::TaskSpec& spec) {
  std::vector<std::string> blobs(spec.blobs().begin(), spec.blobs().end());
  if (!spec.input_blob().empty()) blobs.push_back(spec.input_blob());
  return blobs;
}

void BlobReferences::Check(const v1::TaskSpec& spec, absl::string_view task,
                           ProblemList& problems) {
  if (!spec.input_blob().empty()) {
    CheckOne(spec.input_blob(), absl::StrCat(task, ".input_blob"), problems);
  }
  for (int i = 0; i < spec.blobs_size(); ++i) {
    CheckOne(spec.blobs(i), BlobField(task, i), problems);
  }
}

void BlobReferences::CheckOne(const std::string& id, std::string field, ProblemList& problems) {
  if (store_ == nullptr) {
    problems.Add(std::move(field), id, kNoBlobs);
    return;
  }
  if (!IsBlobId(id)) return;
  const auto [entry, is_new] = kept_.try_emplace(id, false);
  if (is_new) entry->second = store_->Keep(id);
  if (!entry->second) problems.Add(std::move(field), id, "is not kept; put it first (PutBlob)");
}

}  // namespace kartograph::service
