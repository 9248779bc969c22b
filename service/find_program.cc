#include "service/find_program.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::service {

namespace fs = std::filesystem;

absl::StatusOr<std::string> FindProgram(absl::string_view name, absl::string_view folder,
                                        const std::string& configured, absl::string_view flag) {
  std::error_code error;
  std::vector<fs::path> places;
  if (!configured.empty()) {
    places.push_back(fs::absolute(configured, error));
  } else {
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    const fs::path program = std::string(name);
    const fs::path in_build = std::string(folder) / program;
    places.push_back(self.parent_path() / program);
    places.push_back(self.parent_path().parent_path() / in_build);
    places.push_back(fs::path(self.string() + ".runfiles") / "kartograph" / in_build);
  }
  std::string tried;
  for (const fs::path& place : places) {
    if (fs::is_regular_file(place, error) && access(place.c_str(), X_OK) == 0) {
      return place.string();
    }
    absl::StrAppend(&tried, tried.empty() ? "" : ", ", place.string());
  }
  return absl::NotFoundError(
      absl::StrCat("no program ", name, " at ", tried, "; name it with ", flag, " FILE"));
}

}  // namespace kartograph::service
