#include "yaml/tree_builder.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace kartograph::yaml {

TreeBuilder::TreeBuilder(YamlTree* tree) : tree_(tree) {
  tree_->nodes_.clear();
  tree_->flags_.clear();
  tree_->unescaped_.clear();
  tree_->second_document_ = {};
  // Memory that stays untouched costs nothing; growing step by step would hold two copies at once.
  tree_->nodes_.reserve(tree_->text_.size() / 4);
  tree_->flags_.reserve(tree_->text_.size() / 4);
}

TreeBuilder::Id TreeBuilder::Add(Kind kind, uint32_t offset) {
  const Id id = next();
  tree_->nodes_.push_back({offset, id + 1});
  tree_->flags_.push_back(static_cast<uint8_t>(kind));
  if (!open_.empty()) {
    open_.back().last_child = id;
    ++open_.back().children;
  }
  return id;
}

void TreeBuilder::AddAlias(uint32_t offset, Id meant) {
  const Id id = Add(Kind::kNull, offset);
  tree_->flags_[id] |= YamlTree::kAlias;
  tree_->nodes_[id].extent = meant;
}

void TreeBuilder::AddScalar(uint32_t offset, absl::string_view value, bool plain) {
  const Id id = Add(Kind::kScalar, offset);
  YamlTree::Node& node = tree_->nodes_[id];
  uint8_t& flags = tree_->flags_[id];
  if (!plain) flags |= YamlTree::kQuoted;
  node.extent = static_cast<uint32_t>(value.size());
  if (text().substr(offset, value.size()) == value) return;
  if (text().substr(std::min<size_t>(offset + 1, text().size()), value.size()) == value) {
    flags |= YamlTree::kInQuotes;
    return;
  }
  flags |= YamlTree::kApart;
  tree_->unescaped_.push_back({std::string(value), offset});
  node.offset = static_cast<uint32_t>(tree_->unescaped_.size() - 1);
}

std::optional<Problem> TreeBuilder::Open(Kind kind, uint32_t offset) {
  const Id id = Add(kind, offset);
  if (open_.size() == YamlTree::kMaxDepth) {
    return Problem{MarkAt(offset), absl::StrCat("more than ", YamlTree::kMaxDepth,
                                                " lists and mappings inside each other")};
  }
  open_.push_back({id, YamlTree::kNone, 0});
  return std::nullopt;
}

void TreeBuilder::Close() {
  tree_->nodes_[open_.back().id].extent = next();
  open_.pop_back();
}

std::optional<uint32_t> TreeBuilder::OpenKey() const {
  if (open_.empty() || tree_->kind(open_.back().id) != Kind::kMap) return std::nullopt;
  if (open_.back().children % 2 == 0) return std::nullopt;
  const Id key = open_.back().last_child;
  const uint32_t offset = tree_->nodes_[key].offset;
  const bool apart = (tree_->flags_[key] & YamlTree::kApart) != 0;
  return apart ? tree_->unescaped_[offset].offset : offset;
}

}  // namespace kartograph::yaml
