#include "service/config/config_file.h"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/small_file.h"
#include "base/suggest.h"
#include "service/config/settings.h"
#include "yaml/yaml_tree.h"

namespace kartograph::service {
namespace {

using yaml::Mark;
using yaml::YamlTree;
using Kind = YamlTree::Kind;

class Reader {
 public:
  Reader(const std::string& path, ServiceConfig& config, std::vector<std::string>& problems)
      : path_(path), config_(config), problems_(problems) {}

  void Read(absl::string_view text) {
    if (const std::optional<yaml::Problem> problem = tree_.Parse(std::string(text))) {
      Add(problem->mark, absl::StrCat("is not ", problem->language, ": ", problem->what, " (line ",
                                      problem->mark.line, ", column ", problem->mark.column, ")"));
      return;
    }
    if (tree_.second_document().line > 0) {
      Add(tree_.second_document(), "a second document starts here; a file holds one");
      return;
    }
    if (tree_.empty() || tree_.kind(tree_.root()) == Kind::kNull) return;
    if (tree_.kind(tree_.root()) != Kind::kMap) {
      Add(tree_.mark(tree_.root()), "must be a map of settings, such as `cpu: 4`");
      return;
    }
    std::set<std::string> seen;
    for (const YamlTree::Pair& pair : tree_.Pairs(tree_.root())) {
      const std::string name(tree_.text(pair.key));
      const Mark mark = tree_.mark(pair.key);
      if (!seen.insert(name).second) Add(mark, absl::StrCat(name, ": is there twice"));
      const auto setting =
          std::find_if(Settings().begin(), Settings().end(),
                       [&](const Setting& candidate) { return candidate.file_key == name; });
      if (setting == Settings().end()) {
        Add(mark, absl::StrCat(name, ": is not a setting; ", MeantBy(name)));
      } else {
        Read(*setting, pair.value);
      }
    }
  }

 private:
  void Add(Mark mark, const std::string& what) {
    problems_.push_back(absl::StrCat(path_, ":", mark.line, ": ", what));
  }

  static std::string MeantBy(const std::string& name) {
    std::vector<absl::string_view> keys;
    for (const Setting& setting : Settings()) keys.emplace_back(setting.file_key);
    const absl::string_view nearest = Nearest(name, keys);
    return nearest.empty() ? absl::StrCat("there are ", absl::StrJoin(keys, ", "))
                           : absl::StrCat("did you mean ", nearest, "?");
  }

  // Of what stands in a map.
  static absl::string_view ExampleOf(const Setting& setting) {
    const absl::string_view name = setting.name;
    return name == "resource"    ? "`gpu: 2` or `gpu: [0, 1]`"
           : name == "attribute" ? "`disk: ssd`"
                                 : "`db_connections: 40`";
  }

  void Read(const Setting& setting, YamlTree::Id value) {
    if (setting.kind != Setting::Kind::kNamed) {
      if (tree_.kind(value) != Kind::kScalar) {
        Add(tree_.mark(value), absl::StrCat(setting.file_key, ": must be a single value"));
        return;
      }
      ApplyText(setting, setting.file_key, value, tree_.text(value));
      return;
    }
    if (tree_.kind(value) != Kind::kMap) {
      Add(tree_.mark(value),
          absl::StrCat(setting.file_key, ": must be a map of names and numbers, such as ",
                       ExampleOf(setting)));
      return;
    }
    std::set<std::string> seen;
    for (const YamlTree::Pair& pair : tree_.Pairs(value)) {
      const std::optional<std::string> text = TextAsFlag(pair.value);
      if (tree_.kind(pair.key) != Kind::kScalar || !text) {
        Add(tree_.mark(pair.key),
            absl::StrCat(setting.file_key, ": must be names and numbers, such as ",
                         ExampleOf(setting)));
        continue;
      }
      const absl::string_view name = tree_.text(pair.key);
      if (!seen.emplace(name).second) {
        Add(tree_.mark(pair.key), absl::StrCat(setting.file_key, ".", name, ": is there twice"));
      }
      ApplyText(setting, absl::StrCat(setting.file_key, ".", name), pair.value, *text,
                absl::StrCat(name, "="));
    }
  }

  // A word as it is, a list of words as [a,b]; nothing for anything else.
  std::optional<std::string> TextAsFlag(YamlTree::Id value) const {
    if (tree_.kind(value) == Kind::kScalar) return std::string(tree_.text(value));
    if (tree_.kind(value) != Kind::kSequence) return std::nullopt;
    std::vector<absl::string_view> words;
    for (const YamlTree::Id item : tree_.Items(value)) {
      if (tree_.kind(item) != Kind::kScalar) return std::nullopt;
      words.push_back(tree_.text(item));
      if (absl::StrContains(words.back(), ',')) return std::nullopt;
    }
    return absl::StrCat("[", absl::StrJoin(words, ","), "]");
  }

  void ApplyText(const Setting& setting, const std::string& name, YamlTree::Id value,
                 absl::string_view text, absl::string_view before = "") {
    const absl::Status status = Apply(setting, absl::StrCat(before, text), config_);
    if (status.ok()) return;
    Add(tree_.mark(value), absl::StrCat(name, " = ", text, ": ", std::string(status.message())));
  }

  const std::string& path_;
  ServiceConfig& config_;
  std::vector<std::string>& problems_;
  YamlTree tree_;
};

}  // namespace

void ReadConfigFile(const std::string& path, ServiceConfig& config,
                    std::vector<std::string>& problems) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) {
    problems.push_back(
        absl::StrCat("--config = ", path, ": ", std::string(text.status().message())));
    return;
  }
  Reader(path, config, problems).Read(*text);
}

}  // namespace kartograph::service
