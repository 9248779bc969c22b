#include "cli/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <exception>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kartograph::cli {

// Appends nodes to a tree as yaml-cpp tells of them. The only place that knows yaml-cpp.
class YamlTreeBuilder : public YAML::EventHandler {
 public:
  explicit YamlTreeBuilder(YamlTree* tree) : tree_(tree) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // yaml-cpp places what is not there at the next thing that is; its key is a better place.
    const bool keyed = !open_.empty() && open_.back().children % 2 == 1 &&
                       tree_->nodes_[open_.back().id].kind == YamlTree::Kind::kMap;
    const YamlTree::Id key = keyed ? open_.back().last_child : YamlTree::kNone;
    const YamlTree::Id id = Add(YamlTree::Kind::kNull, mark, anchor);
    if (keyed) tree_->nodes_[id].mark = tree_->nodes_[key].mark;
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const YamlTree::Id id = Add(YamlTree::Kind::kNull, mark, YAML::NullAnchor);
    tree_->nodes_[id].alias = true;
    tree_->nodes_[id].first = anchors_[anchor];
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const YamlTree::Id id = Add(YamlTree::Kind::kScalar, mark, anchor);
    YamlTree::Node& node = tree_->nodes_[id];
    node.quoted = tag != "?";  // yaml-cpp's tag for what stands plainly
    node.offset = tree_->text_.size();
    node.length = static_cast<uint32_t>(value.size());
    tree_->text_ += value;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Add(YamlTree::Kind::kSequence, mark, anchor));
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Add(YamlTree::Kind::kMap, mark, anchor));
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct OpenNode {
    YamlTree::Id id;
    YamlTree::Id last_child;
    uint32_t children;
  };

  void Open(YamlTree::Id id) { open_.push_back({id, YamlTree::kNone, 0}); }

  YamlTree::Id Add(YamlTree::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    const YamlTree::Id id = static_cast<YamlTree::Id>(tree_->nodes_.size());
    YamlTree::Node node;
    node.kind = kind;
    node.mark = {mark.line + 1, mark.column + 1};
    tree_->nodes_.push_back(node);
    if (!open_.empty()) {
      OpenNode& parent = open_.back();
      if (parent.last_child == YamlTree::kNone) {
        tree_->nodes_[parent.id].first = id;
      } else {
        tree_->nodes_[parent.last_child].next = id;
      }
      parent.last_child = id;
      ++parent.children;
    }
    if (anchor != YAML::NullAnchor) {
      if (anchors_.size() <= anchor) anchors_.resize(anchor + 1, 0);
      anchors_[anchor] = id;
    }
    return id;
  }

  YamlTree* tree_;
  std::vector<OpenNode> open_;
  std::vector<YamlTree::Id> anchors_;  // index: yaml-cpp's number of the anchor
};

namespace {

// JSON writes a character beyond U+FFFF as two \u escapes, which YAML does not know. Rewrites such
// pairs as YAML's one \U escape.
std::string JoinSurrogates(absl::string_view text) {
  std::string joined;
  joined.reserve(text.size());
  size_t done = 0;
  for (size_t i = text.find('\\'); i < text.size(); i = text.find('\\', i)) {
    uint32_t high, low;
    if (i + 12 <= text.size() && text[i + 1] == 'u' && text[i + 6] == '\\' && text[i + 7] == 'u' &&
        absl::SimpleHexAtoi(text.substr(i + 2, 4), &high) &&
        absl::SimpleHexAtoi(text.substr(i + 8, 4), &low) && high >= 0xD800 && high < 0xDC00 &&
        low >= 0xDC00 && low < 0xE000) {
      absl::StrAppend(&joined, text.substr(done, i - done));
      absl::StrAppendFormat(&joined, "\\U%08X", 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
      i += 12;
      done = i;
    } else {
      i += 2;  // the escape and what it escapes
    }
  }
  absl::StrAppend(&joined, text.substr(done));
  return joined;
}

}  // namespace

bool YamlTree::Parse(absl::string_view text, FileProblems* problems) {
  nodes_.clear();
  text_.clear();
  const absl::string_view start = absl::StripLeadingAsciiWhitespace(text);
  const bool json = !start.empty() && start[0] == '{';
  // Nothing yaml-cpp throws leaves this function.
  try {
    std::istringstream stream(json && text.find("\\u") != text.npos ? JoinSurrogates(text)
                                                                    : std::string(text));
    YAML::Parser parser(stream);
    YamlTreeBuilder builder(this);
    if (!parser.HandleNextDocument(builder) || nodes_.empty()) {
      problems->Add({}, "", "the file is empty; a graph has at least a list of tasks");
      return false;
    }
    YamlTree second;
    YamlTreeBuilder second_builder(&second);
    if (parser.HandleNextDocument(second_builder) && !second.nodes_.empty()) {
      problems->Add(second.nodes_[0].mark, "",
                    "a second document starts here; a file holds one graph");
      return false;
    }
  } catch (const YAML::Exception& exception) {
    Mark mark;
    if (!exception.mark.is_null()) mark = {exception.mark.line + 1, exception.mark.column + 1};
    problems->Add(mark, "", absl::StrCat("this line is not YAML: ", exception.msg));
    return false;
  } catch (const std::exception& exception) {
    problems->Add({}, "", absl::StrCat("the file is not YAML: ", exception.what()));
    return false;
  }
  return true;
}

absl::string_view YamlTree::text(Id id) const {
  const Node& node = At(id);
  return absl::string_view(text_).substr(node.offset, node.length);
}

std::vector<YamlTree::Id> YamlTree::Items(Id sequence) const {
  std::vector<Id> items;
  for (Id id = At(sequence).first; id != kNone; id = nodes_[id].next) items.push_back(id);
  return items;
}

std::vector<YamlTree::Pair> YamlTree::Pairs(Id map) const {
  std::vector<Pair> pairs;
  for (Id key = At(map).first; key != kNone;) {
    const Id value = nodes_[key].next;
    if (value == kNone) break;
    pairs.push_back({key, value});
    key = nodes_[value].next;
  }
  return pairs;
}

YamlTree::Id YamlTree::Find(Id map, absl::string_view key) const {
  if (kind(map) != Kind::kMap) return kNone;
  for (const Pair& pair : Pairs(map)) {
    if (kind(pair.key) == Kind::kScalar && text(pair.key) == key) return pair.value;
  }
  return kNone;
}

}  // namespace kartograph::cli
