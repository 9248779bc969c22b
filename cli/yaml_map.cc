#include "cli/yaml_map.h"

#include <set>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/suggest.h"

namespace kartograph::cli {
namespace {

using Kind = YamlTree::Kind;

// Adds what a merge key's `value` (a map or a list of maps) holds and `entries` do not.
class Merger {
 public:
  Merger(const YamlTree& tree, std::vector<MapEntry>* entries, const FieldPath& path,
         FileProblems* problems)
      : tree_(tree), entries_(entries), path_(path), problems_(problems) {
    for (const MapEntry& entry : *entries) seen_.insert(entry.key);
  }

  void Merge(YamlTree::Id value) {
    if (tree_.kind(value) == Kind::kMap) {
      MergeMap(value);
      return;
    }
    if (tree_.kind(value) != Kind::kSequence) return Wrong(value);
    for (YamlTree::Id item : tree_.Items(value)) {
      if (tree_.kind(item) != Kind::kMap) {
        Wrong(item);
      } else {
        MergeMap(item);
      }
    }
  }

 private:
  void MergeMap(YamlTree::Id map) {
    // A map that merges itself, or many ways to the same map, would add nothing the second time.
    if (!merged_.insert(tree_.mark(map)).second) return;
    const std::vector<YamlTree::Pair> pairs = tree_.Pairs(map);
    for (const YamlTree::Pair& pair : pairs) {
      if (tree_.kind(pair.key) != Kind::kScalar || tree_.text(pair.key) == "<<") continue;
      if (seen_.insert(tree_.text(pair.key)).second) {
        entries_->push_back({tree_.text(pair.key), tree_.mark(pair.key), pair.value});
      }
    }
    for (const YamlTree::Pair& pair : pairs) {
      if (tree_.kind(pair.key) == Kind::kScalar && tree_.text(pair.key) == "<<") Merge(pair.value);
    }
  }

  void Wrong(YamlTree::Id id) {
    ReportWrongType(tree_, id, FieldPath(&path_, "<<"), "a mapping to merge", problems_);
  }

  const YamlTree& tree_;
  std::vector<MapEntry>* entries_;
  const FieldPath& path_;
  FileProblems* problems_;
  absl::flat_hash_set<absl::string_view> seen_;
  std::set<Mark> merged_;  // maps by their place
};

}  // namespace

std::string FieldPath::ToString() const {
  if (parent_ == nullptr) return "";
  const std::string parent = parent_->ToString();
  if (index_ >= 0) return absl::StrCat(parent, "[", index_, "]");
  return parent.empty() ? std::string(key_) : absl::StrCat(parent, ".", key_);
}

std::vector<MapEntry> ReadMap(const YamlTree& tree, YamlTree::Id map, const FieldPath& path,
                              FileProblems* problems) {
  std::vector<MapEntry> entries;
  if (tree.kind(map) != Kind::kMap) {
    ReportWrongType(tree, map, path, "a mapping", problems);
    return entries;
  }
  std::vector<YamlTree::Id> merges;
  absl::flat_hash_map<absl::string_view, Mark> seen;
  for (const YamlTree::Pair& pair : tree.Pairs(map)) {
    const Mark mark = tree.mark(pair.key);
    if (tree.kind(pair.key) != Kind::kScalar) {
      problems->Add(mark, path.ToString(), "a key must be a plain word");
      continue;
    }
    const absl::string_view key = tree.text(pair.key);
    if (key == "<<" && !tree.quoted(pair.key)) {
      merges.push_back(pair.value);
      continue;
    }
    const auto [first, is_new] = seen.insert({key, mark});
    if (is_new) {
      entries.push_back({key, mark, pair.value});
    } else {
      problems->Add(mark, FieldPath(&path, key).ToString(),
                    absl::StrCat("is given twice; first on line ", first->second.line));
    }
  }
  if (!merges.empty()) {
    Merger merger(tree, &entries, path, problems);
    for (YamlTree::Id value : merges) merger.Merge(value);
  }
  return entries;
}

void ReportUnknownKey(const MapEntry& entry, const FieldPath& parent,
                      absl::Span<const absl::string_view> known, FileProblems* problems) {
  const absl::string_view nearest = Nearest(entry.key, known);
  problems->Add(
      entry.key_mark, parent.ToString(),
      absl::StrCat(Quoted(entry.key), " is not a known key; ",
                   nearest.empty() ? absl::StrCat("known are ", absl::StrJoin(known, ", "))
                                   : absl::StrCat("did you mean \"", nearest, "\"?")));
}

void ReportWrongType(const YamlTree& tree, YamlTree::Id id, const FieldPath& path,
                     absl::string_view expected, FileProblems* problems) {
  std::string found;
  switch (tree.kind(id)) {
    case Kind::kNull:
      found = "nothing";
      break;
    case Kind::kScalar:
      found = Quoted(tree.text(id));
      break;
    case Kind::kSequence:
      found = "a list";
      break;
    case Kind::kMap:
      found = "a mapping";
      break;
  }
  problems->Add(tree.mark(id), path.ToString(),
                absl::StrCat(found, " stands where ", expected, " is expected"));
}

}  // namespace kartograph::cli
