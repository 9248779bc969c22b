// How a YamlTree comes into being: what the readers of YAML and JSON share.
#ifndef KARTOGRAPH_YAML_TREE_BUILDER_H_
#define KARTOGRAPH_YAML_TREE_BUILDER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "yaml/yaml_tree.h"

namespace kartograph::yaml {

// Appends nodes to a tree in the order of its text. Places are offsets in the text, in bytes.
class TreeBuilder {
 public:
  using Id = YamlTree::Id;
  using Kind = YamlTree::Kind;

  // Removes the nodes that `tree` has. It has its text, and outlives the builder.
  explicit TreeBuilder(YamlTree* tree);

  absl::string_view text() const { return tree_->text_; }
  Mark MarkAt(uint32_t offset) const { return tree_->MarkAt(offset); }

  // Of the node that is added next.
  Id next() const { return static_cast<Id>(tree_->nodes_.size()); }
  void AddNull(uint32_t offset) { Add(Kind::kNull, offset); }
  void AddAlias(uint32_t offset, Id meant);
  // `offset`: of the first character or, where it stands in quotation marks, of the first mark.
  // Not plain: it can be nothing but a string.
  void AddScalar(uint32_t offset, absl::string_view value, bool plain);
  // Begins a sequence or map; what is added until it is closed is inside it. A problem where it
  // would be too deep.
  std::optional<Problem> Open(Kind kind, uint32_t offset);
  void Close();

  // Where the key stands that has no value yet; nothing where a value is not what comes next.
  std::optional<uint32_t> OpenKey() const;
  void SetSecondDocument(uint32_t offset) { tree_->second_document_ = MarkAt(offset); }

 private:
  struct OpenNode {
    Id id;
    Id last_child;
    uint32_t children;
  };

  Id Add(Kind kind, uint32_t offset);

  YamlTree* tree_;
  std::vector<OpenNode> open_;
};

}  // namespace kartograph::yaml

#endif  // KARTOGRAPH_YAML_TREE_BUILDER_H_
