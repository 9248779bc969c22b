// A YAML (or JSON) document in memory: values, order and places, nothing converted.
#ifndef KARTOGRAPH_YAML_YAML_TREE_H_
#define KARTOGRAPH_YAML_YAML_TREE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"

namespace kartograph::yaml {

// A place in a text file, counted from 1; columns count bytes. Line 0 means the file as a whole.
struct Mark {
  int line = 0;
  int column = 0;
  auto operator<=>(const Mark&) const = default;
};

// Why a text can be read neither as JSON nor as YAML.
struct Problem {
  Mark mark;
  std::string what;                     // such as "did not find expected ',' or ']'"
  absl::string_view language = "YAML";  // what it was read as
};

// Holds the text of one document and its nodes, 9 bytes each: a file of a million tasks takes
// little more than twice its size. A scalar that reads as it is written is a part of the text;
// places are offsets until they are asked for. Aliases are followed silently. Read-only once
// parsed, and then safe to read from many threads.
class YamlTree {
 public:
  using Id = uint32_t;
  enum class Kind : uint8_t { kNull, kScalar, kSequence, kMap };
  struct Pair {
    Id key;
    Id value;
  };
  using Ids = absl::InlinedVector<Id, 8>;
  using PairList = absl::InlinedVector<Pair, 8>;

  // How deep lists and maps may be nested: whoever walks a tree may recurse.
  static constexpr size_t kMaxDepth = 500;
  // Larger texts are a problem: offsets have 32 bits.
  static constexpr size_t kMaxBytes = (size_t{1} << 32) - 1;

  // Reads `text`, in UTF-8, and keeps it: as JSON, where it begins like that and is, otherwise the
  // first document of YAML. `json_only`: it must be JSON. With a problem the tree is unusable.
  std::optional<Problem> Parse(std::string text, bool json_only = false);

  // Whether the text holds no document: nothing, or comments alone. Then there is no root.
  bool empty() const { return nodes_.empty(); }
  // Where a second document starts, of which nothing is read; line 0 where none does.
  Mark second_document() const { return second_document_; }

  Id root() const { return 0; }
  Kind kind(Id id) const { return static_cast<Kind>(flags_[Target(id)] & kKindBits); }
  // Where the value stands; of an alias, where the value it means stands; of a key's missing value,
  // where the key stands.
  Mark mark(Id id) const;
  // Of a scalar; empty for others.
  absl::string_view text(Id id) const;
  // Whether a scalar stands in quotes (or is a block, or has a tag), so that it can be nothing but
  // a string.
  bool quoted(Id id) const { return (flags_[Target(id)] & kQuoted) != 0; }

  // Of a sequence.
  Ids Items(Id sequence) const;
  // Of a map, in order, without merging: a key may stand twice, and "<<" is a key like any other.
  PairList Pairs(Id map) const;
  static constexpr Id kNone = 0xFFFFFFFFu;
  // The value of the first such key; kNone where there is none or `map` is not a map.
  Id Find(Id map, absl::string_view key) const;

 private:
  friend class TreeBuilder;
  // Nodes stand in the order of the document: the children of a sequence or map follow it, so that
  // its end is all that must be known of them.
  struct Node {
    uint32_t offset;  // in text_; of a scalar that is kept apart the index in unescaped_
    // Of a scalar its length, of a sequence or map the node after its last, of an alias the node
    // that it means.
    uint32_t extent;
  };
  // A scalar that does not read as it is written: escapes, several lines.
  struct Unescaped {
    std::string text;
    uint32_t offset;  // where it stands
  };
  static constexpr uint8_t kKindBits = 3;
  static constexpr uint8_t kQuoted = 4;
  static constexpr uint8_t kInQuotes = 8;  // the scalar begins after the quotation mark at offset
  static constexpr uint8_t kApart = 16;    // in unescaped_
  static constexpr uint8_t kAlias = 32;

  Id Target(Id id) const { return (flags_[id] & kAlias) != 0 ? nodes_[id].extent : id; }
  // Of an alias false: what it means is not inside it.
  bool IsCollection(Id id) const {
    return (flags_[id] & kKindBits) >= static_cast<uint8_t>(Kind::kSequence);
  }
  // The node after `id` and all that is inside it.
  Id After(Id id) const { return IsCollection(id) ? nodes_[id].extent : id + 1; }
  Mark MarkAt(uint32_t offset) const;

  std::string text_;
  std::vector<uint32_t> lines_;  // where each line starts, in text_
  std::vector<Node> nodes_;
  std::vector<uint8_t> flags_;  // of each node
  std::vector<Unescaped> unescaped_;
  Mark second_document_;
};

}  // namespace kartograph::yaml

#endif  // KARTOGRAPH_YAML_YAML_TREE_H_
