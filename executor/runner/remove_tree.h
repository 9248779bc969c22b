// Deletes folders of any depth and size.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_REMOVE_TREE_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_REMOVE_TREE_H_

#include <cstdint>
#include <functional>
#include <string>

namespace kartograph::executor {

struct TreeRemoval {
  bool stopped = false;    // early, as asked for
  int64_t failures = 0;    // files and folders that are still there
  std::string first_path;  // one of them, from `parent`, and why
  int first_error = 0;     // errno
};

// Deletes `name`, a file or a folder, in the open folder `parent`, with all that is in it, and
// follows no symbolic link. Takes a bounded number of descriptors and no stack for each level:
// what lies too deep to be reached that way is first moved up into `parent`, under the name that
// `new_name` gives, where the caller finds it and removes it next. Stops where `stop` says so,
// which is asked for each file.
TreeRemoval RemoveTree(int parent, const std::string& name,
                       const std::function<std::string()>& new_name,
                       const std::function<bool()>& stop);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_REMOVE_TREE_H_
