// Maps of a YAML document as the graph file reads them: merged, without repeated keys.
#ifndef KARTOGRAPH_CLI_YAML_MAP_H_
#define KARTOGRAPH_CLI_YAML_MAP_H_

#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/file_problems.h"
#include "yaml/yaml_tree.h"

namespace kartograph::cli {

using yaml::YamlTree;

// Where in the file's structure something stands, such as tasks[3].consumption.ram. A chain on the
// stack, made into text only for a problem.
class FieldPath {
 public:
  FieldPath() = default;
  FieldPath(const FieldPath* parent, absl::string_view key) : parent_(parent), key_(key) {}
  FieldPath(const FieldPath* parent, size_t index)
      : parent_(parent), index_(static_cast<int64_t>(index)) {}
  std::string ToString() const;

 private:
  const FieldPath* parent_ = nullptr;
  absl::string_view key_;
  int64_t index_ = -1;
};

struct MapEntry {
  absl::string_view key;
  YamlTree::Id key_id;
  YamlTree::Id value;
};
using MapEntries = absl::InlinedVector<MapEntry, 8>;

// The value of `key`; kNone where there is none.
YamlTree::Id ValueOf(const MapEntries& entries, absl::string_view key);

// The entries of `map`, then those that its merge keys ("<<") add. Repeated keys, keys that are not
// scalars and merges of what is not a map become problems. Where `map` is not a map, that is a
// problem too, and there are no entries.
MapEntries ReadMap(const YamlTree& tree, YamlTree::Id map, const FieldPath& path,
                   FileProblems* problems);

// Reports a key that is not one of `known`, with the nearest of them.
void ReportUnknownKey(const YamlTree& tree, const MapEntry& entry, const FieldPath& parent,
                      absl::Span<const absl::string_view> known, FileProblems* problems);

// Reports that `id` is something other than `expected` ("a list of tasks"); `advice` comes last.
void ReportWrongType(const YamlTree& tree, YamlTree::Id id, const FieldPath& path,
                     absl::string_view expected, FileProblems* problems,
                     absl::string_view advice = "");

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_YAML_MAP_H_
