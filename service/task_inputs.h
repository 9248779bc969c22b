// What a task reads: its input, and the blobs that it refers to.
#ifndef KARTOGRAPH_SERVICE_TASK_INPUTS_H_
#define KARTOGRAPH_SERVICE_TASK_INPUTS_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "executor/payload.pb.h"
#include "service/blob_store.h"
#include "service/convert.h"

namespace kartograph::service {

// Checks sizes and the form of ids, and puts what the task reads into its payload. `task` says
// where it stands.
void ConvertInputs(const v1::TaskSpec& spec, absl::string_view task, executor::Payload& payload,
                   ProblemList& problems);

// All blobs that it refers to.
std::vector<std::string> BlobsOf(const v1::TaskSpec& spec);

// Where a cluster's tasks cannot read blobs: what to do instead.
inline constexpr char kNoBlobs[] =
    "tasks of this cluster cannot read blobs yet: give what they read as `input`, of at most 1 "
    "MiB, "
    "or as files that all agents can reach";

// The blobs that the tasks of one call refer to: each is looked for once. Thread-compatible.
class BlobReferences {
 public:
  // Null where tasks cannot read blobs; outlives this.
  explicit BlobReferences(BlobStore* store) : store_(store) {}

  // Adds a problem for each that is not kept. The others stay for another day, until when the task
  // must be written. Ids of another form are left to ConvertInputs.
  void Check(const v1::TaskSpec& spec, absl::string_view task, ProblemList& problems);

 private:
  void CheckOne(const std::string& id, std::string field, ProblemList& problems);

  BlobStore* const store_;
  absl::flat_hash_map<std::string, bool> kept_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_TASK_INPUTS_H_
