// Blobs as kartograph-executor asks for them.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_BLOB_PARTS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_BLOB_PARTS_H_

#include <string>

#include "executor/mesos/protocol/framework_message.pb.h"

namespace kartograph::executor::mesos {

// The part that is asked for, of at most a mebibyte. `folder` is where each blob is a file of its
// id's name; empty: there are none.
kartograph::mesos::BlobPart ReadBlobPart(const std::string& folder,
                                         const kartograph::mesos::BlobRequest& request);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_BLOB_PARTS_H_
