// A YAML (or JSON) document in memory: values, order and places, nothing converted.
#ifndef KARTOGRAPH_CLI_YAML_TREE_H_
#define KARTOGRAPH_CLI_YAML_TREE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/file_problems.h"

namespace kartograph::cli {

// Holds the nodes of one document flat, in some 40 bytes each, so that files of a hundred thousand
// tasks are read in seconds; yaml-cpp's own tree takes twice the time and much more room. Aliases
// are followed silently. Read-only once parsed, and then safe to read from many threads.
class YamlTree {
 public:
  using Id = uint32_t;
  enum class Kind : uint8_t { kNull, kScalar, kSequence, kMap };
  struct Pair {
    Id key;
    Id value;
  };

  // Reads `text`, which must hold exactly one document. False, with one problem added, where it
  // is not YAML.
  bool Parse(absl::string_view text, FileProblems* problems);

  Id root() const { return 0; }
  Kind kind(Id id) const { return At(id).kind; }
  // Where the value stands; of an alias, where the value it means stands; of a key's missing value,
  // where the key stands.
  Mark mark(Id id) const { return At(id).mark; }
  // Of a scalar; empty for others.
  absl::string_view text(Id id) const;
  // Whether a scalar stands in quotes (or is a block), so that it can be nothing but a string.
  bool quoted(Id id) const { return At(id).quoted; }

  // Of a sequence.
  std::vector<Id> Items(Id sequence) const;
  // Of a map, in order, without merging: a key may stand twice, and "<<" is a key like any other.
  std::vector<Pair> Pairs(Id map) const;
  static constexpr Id kNone = 0xFFFFFFFFu;
  // The value of the first such key; kNone where there is none or `map` is no map.
  Id Find(Id map, absl::string_view key) const;

 private:
  friend class YamlTreeBuilder;
  struct Node {
    Kind kind = Kind::kNull;
    bool quoted = false;
    bool alias = false;
    Id first = kNone;  // child; of an alias: what it means
    Id next = kNone;   // sibling
    Mark mark;
    uint32_t length = 0;
    uint64_t offset = 0;  // of a scalar, in text_
  };
  const Node& At(Id id) const { return nodes_[id].alias ? nodes_[nodes_[id].first] : nodes_[id]; }

  std::vector<Node> nodes_;
  std::string text_;  // of all scalars
};

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_YAML_TREE_H_
