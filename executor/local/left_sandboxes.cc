#include "executor/local/left_sandboxes.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kartograph::executor {

planner::GraphId NewestGraphWithSandbox(const std::string& state_dir) {
  planner::GraphId newest = 0;
  std::error_code error;
  std::filesystem::directory_iterator folder(absl::StrCat(state_dir, "/sandboxes"), error);
  for (; !error && folder != std::filesystem::directory_iterator(); folder.increment(error)) {
    uint32_t graph = 0;  // other names are not sandboxes
    if (absl::SimpleAtoi(folder->path().filename().native(), &graph)) {
      newest = std::max<planner::GraphId>(newest, graph);
    }
  }
  return newest;
}

}  // namespace kartograph::executor
