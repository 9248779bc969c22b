// A YAML (or JSON) document in memory: values, order and places, nothing converted.
#ifndef KARTOGRAPH_YAML_YAML_TREE_H_
#define KARTOGRAPH_YAML_YAML_TREE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace kartograph::yaml {

// A place in a text file, counted from 1; columns count bytes. Line 0 means the file as a whole.
struct Mark {
  int line = 0;
  int column = 0;
  auto operator<=>(const Mark&) const = default;
};

// Why a text is not YAML.
struct Problem {
  Mark mark;
  std::string what;  // such as "did not find expected ',' or ']'"
};

// Holds the nodes of one document flat, in some 40 bytes each, so that files of a hundred thousand
// tasks are read in a fraction of a second. Aliases are followed silently. Read-only once parsed,
// and then safe to read from many threads.
class YamlTree {
 public:
  using Id = uint32_t;
  enum class Kind : uint8_t { kNull, kScalar, kSequence, kMap };
  struct Pair {
    Id key;
    Id value;
  };

  // So many lists and maps may stand inside each other: who walks a tree may recurse.
  static constexpr size_t kMaxDepth = 500;

  // Reads the first document of `text`, in UTF-8. With a problem the tree is of no use.
  std::optional<Problem> Parse(absl::string_view text);

  // Whether the text holds no document: nothing, or comments alone. Then there is no root.
  bool empty() const { return nodes_.empty(); }
  // Where a second document starts, of which nothing is read; line 0 where none does.
  Mark second_document() const { return second_document_; }

  Id root() const { return 0; }
  Kind kind(Id id) const { return At(id).kind; }
  // Where the value stands; of an alias, where the value it means stands; of a key's missing value,
  // where the key stands.
  Mark mark(Id id) const { return At(id).mark; }
  // Of a scalar; empty for others.
  absl::string_view text(Id id) const;
  // Whether a scalar stands in quotes (or is a block, or has a tag), so that it can be nothing but
  // a string.
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
  Mark second_document_;
};

}  // namespace kartograph::yaml

#endif  // KARTOGRAPH_YAML_YAML_TREE_H_
