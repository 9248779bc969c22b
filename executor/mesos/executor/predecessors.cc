#include "executor/mesos/executor/predecessors.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "executor/agent/leftovers.h"
#include "executor/agent/session_record.h"

namespace kartograph::executor::mesos {
namespace {

namespace fs = std::filesystem;

// How all ids of our executors begin.
constexpr char kIdPrefix[] = "kartograph-";
// An agent keeps the sandboxes of executors that have ended for days.
constexpr size_t kMaxLooked = 100000;

// What is in a folder, or nothing.
std::vector<fs::path> List(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator next(folder, error), end; !error && next != end;
       next.increment(error)) {
    if (entries.size() >= kMaxLooked) break;
    std::error_code unknown;
    if (next->symlink_status(unknown).type() == fs::file_type::directory) {
      entries.push_back(next->path());
    }
  }
  return entries;
}

}  // namespace

int EndPredecessors(const std::string& sandbox, absl::Duration patience) {
  const fs::path own(sandbox);
  const fs::path executors = own.parent_path().parent_path().parent_path();
  if (own.parent_path().filename() != "runs" || executors.filename() != "executors") return 0;
  int killed = 0;
  for (const fs::path& executor : List(executors)) {
    if (!absl::StartsWith(executor.filename().string(), kIdPrefix)) continue;
    for (const fs::path& run : List(executor / "runs")) {
      const std::string record = run / kSessionsFile;
      if (run == own || SessionRecord::IsHeld(record)) continue;
      const SessionRecord::Contents contents = SessionRecord::Read(record);
      if (contents.agent <= 0) continue;  // of an earlier boot, or just being made
      killed += KillLeftovers(run / kSandboxesFolder, contents, patience);
      unlink(record.c_str());
    }
  }
  return killed;
}

}  // namespace kartograph::executor::mesos
