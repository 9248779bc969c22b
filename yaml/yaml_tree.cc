#include "yaml/yaml_tree.h"

#include <yaml.h>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace kartograph::yaml {
namespace {

// Lines and columns of places that libyaml counts in characters or bytes from the start. Only goes
// forward, so that many places in their order cost one walk through the text.
class Places {
 public:
  explicit Places(absl::string_view text) : text_(text) {}

  Mark OfCharacter(size_t index) {
    while (offset_ < text_.size() && (characters_ < index || InCharacter())) Step();
    return mark_;
  }
  Mark OfByte(size_t offset) {
    while (offset_ < text_.size() && offset_ < offset) Step();
    return mark_;
  }
  // What stands at the last place.
  absl::string_view Rest() const { return text_.substr(offset_); }

 private:
  bool InCharacter() const { return (static_cast<unsigned char>(text_[offset_]) & 0xC0) == 0x80; }
  void Step() {
    if (!InCharacter()) ++characters_;
    ++mark_.column;
    if (text_[offset_++] == '\n') mark_ = {mark_.line + 1, 1};
  }

  absl::string_view text_;
  size_t offset_ = 0;
  size_t characters_ = 0;  // that began before offset_
  Mark mark_{1, 1};
};

absl::string_view View(const yaml_char_t* text) { return reinterpret_cast<const char*>(text); }

bool IsNull(absl::string_view plain) {
  return plain.empty() || plain == "~" || plain == "null" || plain == "Null" || plain == "NULL";
}

}  // namespace

// Appends nodes to a tree as libyaml tells of them. The only place that knows libyaml.
class YamlTreeBuilder {
 public:
  // Both must outlive the builder.
  YamlTreeBuilder(absl::string_view text, YamlTree* tree)
      : text_(text), places_(text), tree_(tree) {
    if (yaml_parser_initialize(&parser_) == 0) return;  // and nothing can be parsed
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const yaml_char_t*>(text.data()),
                                 text.size());
  }
  YamlTreeBuilder(const YamlTreeBuilder&) = delete;
  YamlTreeBuilder& operator=(const YamlTreeBuilder&) = delete;
  ~YamlTreeBuilder() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }

  std::optional<Problem> Build() {
    do {
      if (!Next()) return ParserProblem();
      if (std::optional<Problem> problem = Append()) return problem;
      if (event_.type == YAML_STREAM_END_EVENT) return std::nullopt;
    } while (event_.type != YAML_DOCUMENT_END_EVENT);
    return LookBeyond();
  }

 private:
  struct OpenNode {
    YamlTree::Id id;
    YamlTree::Id last_child;
    uint32_t children;
  };

  bool Next() {
    yaml_event_delete(&event_);
    return parser_.read_handler != nullptr && yaml_parser_parse(&parser_, &event_) != 0;
  }

  std::optional<Problem> Append() {
    switch (event_.type) {
      case YAML_ALIAS_EVENT:
        return AppendAlias();
      case YAML_SCALAR_EVENT:
        AppendScalar();
        break;
      case YAML_SEQUENCE_START_EVENT:
        return Open(YamlTree::Kind::kSequence, event_.data.sequence_start.anchor);
      case YAML_MAPPING_START_EVENT:
        return Open(YamlTree::Kind::kMap, event_.data.mapping_start.anchor);
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        open_.pop_back();
        break;
      default:  // of streams and documents
        break;
    }
    return std::nullopt;
  }

  std::optional<Problem> AppendAlias() {
    const auto meant = anchors_.find(View(event_.data.alias.anchor));
    const YamlTree::Id id = Add(YamlTree::Kind::kNull, nullptr);
    if (meant == anchors_.end()) {
      return Problem{tree_->nodes_[id].mark, absl::StrCat("no anchor before this alias is named ",
                                                          View(event_.data.alias.anchor))};
    }
    tree_->nodes_[id].alias = true;
    tree_->nodes_[id].first = meant->second;
    return std::nullopt;
  }

  void AppendScalar() {
    const auto& scalar = event_.data.scalar;
    const absl::string_view value(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const bool plain = scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.plain_implicit != 0;
    if (plain && IsNull(value)) {
      // What is not there stands nowhere; its key is a better place than what comes next.
      const bool keyed = !open_.empty() && open_.back().children % 2 == 1 &&
                         tree_->nodes_[open_.back().id].kind == YamlTree::Kind::kMap;
      const YamlTree::Id key = keyed ? open_.back().last_child : YamlTree::kNone;
      const YamlTree::Id id = Add(YamlTree::Kind::kNull, scalar.anchor);
      if (keyed) tree_->nodes_[id].mark = tree_->nodes_[key].mark;
      return;
    }
    YamlTree::Node& node = tree_->nodes_[Add(YamlTree::Kind::kScalar, scalar.anchor)];
    node.quoted = !plain;
    node.offset = tree_->text_.size();
    node.length = static_cast<uint32_t>(value.size());
    absl::StrAppend(&tree_->text_, value);
  }

  std::optional<Problem> Open(YamlTree::Kind kind, const yaml_char_t* anchor) {
    const YamlTree::Id id = Add(kind, anchor);
    if (open_.size() == YamlTree::kMaxDepth) {
      return Problem{tree_->nodes_[id].mark, absl::StrCat("more than ", YamlTree::kMaxDepth,
                                                          " lists and mappings inside each other")};
    }
    open_.push_back({id, YamlTree::kNone, 0});
    return std::nullopt;
  }

  // Of this event; the anchor may be null.
  YamlTree::Id Add(YamlTree::Kind kind, const yaml_char_t* anchor) {
    const YamlTree::Id id = static_cast<YamlTree::Id>(tree_->nodes_.size());
    YamlTree::Node node;
    node.kind = kind;
    node.mark = places_.OfCharacter(event_.start_mark.index);
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
    if (anchor != nullptr) anchors_[View(anchor)] = id;
    return id;
  }

  // Notes where a second document starts, if anything follows the first.
  std::optional<Problem> LookBeyond() {
    for (const bool content : {false, true}) {
      if (!Next()) {
        // What follows without a line "---" is no grammar to libyaml.
        if (parser_.error != YAML_PARSER_ERROR) return ParserProblem();
        const Mark mark = places_.OfCharacter(parser_.problem_mark.index);
        const absl::string_view rest = places_.Rest();
        if (absl::StartsWith(rest, "]") || absl::StartsWith(rest, "}")) {
          return Problem{mark, "this bracket closes nothing"};
        }
        tree_->second_document_ = mark;
        return std::nullopt;
      }
      if (event_.type == YAML_STREAM_END_EVENT) return std::nullopt;
      if (content) tree_->second_document_ = places_.OfCharacter(event_.start_mark.index);
    }
    return std::nullopt;
  }

  Problem ParserProblem() const {
    if (parser_.problem == nullptr) return {{}, "there is no memory left to read it"};
    Places places(text_);  // from the start: a problem may stand before what was told last
    std::string what = parser_.problem;
    if (parser_.error == YAML_READER_ERROR) {
      if (parser_.problem_value >= 0) {
        absl::StrAppendFormat(&what, " (0x%02X)", parser_.problem_value);
      }
      return {places.OfByte(parser_.problem_offset), what};
    }
    const Mark mark = places.OfCharacter(parser_.problem_mark.index);
    if (what == "found character that cannot start any token" &&
        absl::StartsWith(places.Rest(), "\t")) {
      what = "a tab stands where only spaces may";
    }
    if (parser_.context != nullptr) {
      absl::StrAppend(&what, ", ", parser_.context);
      const int line = Places(text_).OfCharacter(parser_.context_mark.index).line;
      if (line != mark.line) absl::StrAppend(&what, " from line ", line);
    }
    return {mark, what};
  }

  absl::string_view text_;
  Places places_;
  YamlTree* tree_;
  yaml_parser_t parser_ = {};
  yaml_event_t event_ = {};  // the last
  std::vector<OpenNode> open_;
  absl::flat_hash_map<std::string, YamlTree::Id> anchors_;  // the last of each name
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

std::optional<Problem> YamlTree::Parse(absl::string_view text) {
  nodes_.clear();
  text_.clear();
  second_document_ = {};
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");  // a byte order mark
  const bool json = absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "{");
  std::string joined;
  if (json && text.find("\\u") != text.npos) {
    joined = JoinSurrogates(text);
    text = joined;
  }
  return YamlTreeBuilder(text, this).Build();
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

}  // namespace kartograph::yaml
