#include "cli/yaml_map.h"

#include <set>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/suggest.h"
#include "cli/foreign_words.h"

namespace kartograph::cli {
namespace {

using Kind = YamlTree::Kind;

// Adds what a merge key's `value` (a map or a list of maps) holds and `entries` do not.
class Merger {
 public:
  Merger(const YamlTree& tree, MapEntries* entries, const FieldPath& path, FileProblems* problems)
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
    const YamlTree::PairList pairs = tree_.Pairs(map);
    for (const YamlTree::Pair& pair : pairs) {
      if (tree_.kind(pair.key) != Kind::kScalar || tree_.text(pair.key) == "<<") continue;
      if (seen_.insert(tree_.text(pair.key)).second) {
        entries_->push_back({tree_.text(pair.key), pair.key, pair.value});
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
  MapEntries* entries_;
  const FieldPath& path_;
  FileProblems* problems_;
  absl::flat_hash_set<absl::string_view> seen_;
  std::set<Mark> merged_;  // maps by their place
};

// Finds keys that are there twice. Most maps are small, and searched from start to end.
class KeysSeen {
 public:
  // The first key of this text: `id` itself where it is new to `entries`.
  YamlTree::Id Insert(const MapEntries& entries, absl::string_view key, YamlTree::Id id) {
    constexpr size_t kSmall = 16;
    if (entries.size() < kSmall) {
      for (const MapEntry& entry : entries) {
        if (entry.key == key) return entry.key_id;
      }
      return id;
    }
    if (ids_.empty()) {
      for (const MapEntry& entry : entries) ids_.insert({entry.key, entry.key_id});
    }
    return ids_.insert({key, id}).first->second;
  }

 private:
  absl::flat_hash_map<absl::string_view, YamlTree::Id> ids_;
};

}  // namespace

std::string FieldPath::ToString() const {
  if (parent_ == nullptr) return "";
  const std::string parent = parent_->ToString();
  if (index_ >= 0) return absl::StrCat(parent, "[", index_, "]");
  return parent.empty() ? std::string(key_) : absl::StrCat(parent, ".", key_);
}

YamlTree::Id ValueOf(const MapEntries& entries, absl::string_view key) {
  for (const MapEntry& entry : entries) {
    if (entry.key == key) return entry.value;
  }
  return YamlTree::kNone;
}

MapEntries ReadMap(const YamlTree& tree, YamlTree::Id map, const FieldPath& path,
                   FileProblems* problems) {
  MapEntries entries;
  if (tree.kind(map) != Kind::kMap) {
    ReportWrongType(tree, map, path, "a mapping", problems);
    return entries;
  }
  YamlTree::Ids merges;
  KeysSeen seen;
  for (const YamlTree::Pair& pair : tree.Pairs(map)) {
    if (tree.kind(pair.key) != Kind::kScalar) {
      problems->Add(tree.mark(pair.key), path.ToString(), "a key must be a plain string");
      continue;
    }
    const absl::string_view key = tree.text(pair.key);
    if (key == "<<" && !tree.quoted(pair.key)) {
      merges.push_back(pair.value);
      continue;
    }
    const YamlTree::Id first = seen.Insert(entries, key, pair.key);
    if (first == pair.key) {
      entries.push_back({key, pair.key, pair.value});
    } else {
      problems->Add(tree.mark(pair.key), FieldPath(&path, key).ToString(),
                    absl::StrCat("duplicate key; first given on line ", tree.mark(first).line));
    }
  }
  if (!merges.empty()) {
    Merger merger(tree, &entries, path, problems);
    for (YamlTree::Id value : merges) merger.Merge(value);
  }
  return entries;
}

void ReportUnknownKey(const YamlTree& tree, const MapEntry& entry, const FieldPath& parent,
                      absl::Span<const absl::string_view> known, FileProblems* problems) {
  std::string advice;
  if (const absl::string_view nearest = Nearest(entry.key, known); !nearest.empty()) {
    advice = absl::StrCat("; did you mean \"", nearest, "\"?");
  } else if (const ForeignKey* foreign = FindForeignKey(entry.key, known); foreign != nullptr) {
    advice = absl::StrCat("; did you mean \"", foreign->ours, "\"", foreign->how, "?");
  } else if (const std::string all = absl::StrJoin(known, ", "); problems->FirstTime(all)) {
    advice = absl::StrCat("; known keys are ", all);
  }
  problems->Add(tree.mark(entry.key_id), parent.ToString(),
                absl::StrCat(Quoted(entry.key), " is not a known key", advice));
}

void ReportWrongType(const YamlTree& tree, YamlTree::Id id, const FieldPath& path,
                     absl::string_view expected, FileProblems* problems, absl::string_view advice) {
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
                absl::StrCat("expected ", expected, ", found ", found, advice));
}

}  // namespace kartograph::cli
