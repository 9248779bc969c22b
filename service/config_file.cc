#include "service/config_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "service/settings.h"

namespace kartograph::service {
namespace {

class Reader {
 public:
  Reader(const std::string& path, ServiceConfig& config, std::vector<std::string>& problems)
      : path_(path), config_(config), problems_(problems) {}

  void Read(const YAML::Node& root) {
    if (root.IsNull()) return;
    if (!root.IsMap()) {
      Add(root.Mark(), "must be a map of settings, such as `cpu: 4`");
      return;
    }
    std::set<std::string> seen;
    for (const auto& entry : root) {
      const YAML::Node& key = entry.first;
      const std::string name = key.IsScalar() ? key.Scalar() : "";
      if (!seen.insert(name).second) Add(key.Mark(), absl::StrCat(name, ": is there twice"));
      const auto setting =
          std::find_if(Settings().begin(), Settings().end(),
                       [&](const Setting& candidate) { return candidate.file_key == name; });
      if (setting == Settings().end()) {
        Add(key.Mark(), absl::StrCat(name, ": is not a setting; there are ", KnownKeys()));
      } else {
        Apply(*setting, entry.second);
      }
    }
  }

  void Add(const YAML::Mark& mark, const std::string& what) {
    // yaml-cpp counts from 0, and has no place for what is not there.
    problems_.push_back(absl::StrCat(path_, ":", std::max(mark.line, 0) + 1, ": ", what));
  }

 private:
  static std::string KnownKeys() {
    return absl::StrJoin(Settings(), ", ", [](std::string* out, const Setting& setting) {
      absl::StrAppend(out, setting.file_key);
    });
  }

  void Apply(const Setting& setting, const YAML::Node& value) {
    if (setting.kind != Setting::Kind::kNamed) {
      if (!value.IsScalar()) {
        Add(value.Mark(), absl::StrCat(setting.file_key, ": must be a single value"));
        return;
      }
      ApplyText(setting, setting.file_key, value, value.Scalar());
      return;
    }
    if (!value.IsMap()) {
      Add(value.Mark(), absl::StrCat(setting.file_key,
                                     ": must be a map of names and numbers, such as "
                                     "`db_connections: 40`"));
      return;
    }
    for (const auto& entry : value) {
      if (!entry.first.IsScalar() || !entry.second.IsScalar()) {
        Add(entry.first.Mark(), absl::StrCat(setting.file_key, ": must be names and numbers"));
        continue;
      }
      ApplyText(setting, absl::StrCat(setting.file_key, ".", entry.first.Scalar()), entry.second,
                absl::StrCat(entry.first.Scalar(), "=", entry.second.Scalar()));
    }
  }

  void ApplyText(const Setting& setting, const std::string& name, const YAML::Node& value,
                 const std::string& text) {
    const absl::Status status = setting.apply(text, config_);
    if (status.ok()) return;
    Add(value.Mark(),
        absl::StrCat(name, " = ", value.Scalar(), ": ", std::string(status.message())));
  }

  const std::string& path_;
  ServiceConfig& config_;
  std::vector<std::string>& problems_;
};

}  // namespace

void ReadConfigFile(const std::string& path, ServiceConfig& config,
                    std::vector<std::string>& problems) {
  std::ifstream file(path);
  std::ostringstream text;
  errno = 0;
  if (!file || !(text << file.rdbuf())) {
    // An empty file sets the stream's failure as well, without an error of the system.
    if (errno != 0 || !file.is_open()) {
      problems.push_back(absl::StrCat(
          "--config = ", path, ": cannot be read: ", std::strerror(errno == 0 ? EIO : errno)));
    }
    return;
  }
  Reader reader(path, config, problems);
  // yaml-cpp speaks in exceptions; they end here.
  try {
    reader.Read(YAML::Load(text.str()));
  } catch (const YAML::Exception& error) {
    reader.Add(error.mark,
               absl::StrCat("is not YAML: ", error.msg, " (line ", std::max(error.mark.line, 0) + 1,
                            ", column ", std::max(error.mark.column, 0) + 1, ")"));
  }
}

}  // namespace kartograph::service
