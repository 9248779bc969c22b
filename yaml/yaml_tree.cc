#include "yaml/yaml_tree.h"

#include <yaml.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kartograph::yaml {
namespace {

// Offsets in bytes of places that libyaml counts in characters from the start. Only goes forward,
// so that many places in their order cost one walk through the text.
class Offsets {
 public:
  explicit Offsets(absl::string_view text) : text_(text) {}

  uint32_t OfCharacter(size_t index) {
    while (offset_ < text_.size() && (characters_ < index || InCharacter())) {
      if (!InCharacter()) ++characters_;
      ++offset_;
    }
    return static_cast<uint32_t>(offset_);
  }

 private:
  bool InCharacter() const { return (static_cast<unsigned char>(text_[offset_]) & 0xC0) == 0x80; }

  absl::string_view text_;
  size_t offset_ = 0;
  size_t characters_ = 0;  // that began before offset_
};

absl::string_view View(const yaml_char_t* text) { return reinterpret_cast<const char*>(text); }

bool IsNull(absl::string_view plain) {
  return plain.empty() || plain == "~" || plain == "null" || plain == "Null" || plain == "NULL";
}

}  // namespace

// Appends nodes to a tree as libyaml reports them. The only place that knows libyaml.
class YamlTreeBuilder {
 public:
  // `tree` has its text, and outlives the builder.
  explicit YamlTreeBuilder(YamlTree* tree) : tree_(tree), text_(tree->text_), offsets_(text_) {
    if (yaml_parser_initialize(&parser_) == 0) return;  // and nothing can be parsed
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const yaml_char_t*>(text_.data()),
                                 text_.size());
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
  using Id = YamlTree::Id;
  using Kind = YamlTree::Kind;
  struct OpenNode {
    Id id;
    Id last_child;
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
        return Open(Kind::kSequence, event_.data.sequence_start.anchor);
      case YAML_MAPPING_START_EVENT:
        return Open(Kind::kMap, event_.data.mapping_start.anchor);
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        tree_->nodes_[open_.back().id].extent = static_cast<uint32_t>(tree_->nodes_.size());
        open_.pop_back();
        break;
      default:  // of streams and documents
        break;
    }
    return std::nullopt;
  }

  std::optional<Problem> AppendAlias() {
    const auto meant = anchors_.find(View(event_.data.alias.anchor));
    const Id id = Add(Kind::kNull, nullptr);
    if (meant == anchors_.end()) {
      return Problem{tree_->mark(id), absl::StrCat("no anchor before this alias is named ",
                                                   View(event_.data.alias.anchor))};
    }
    tree_->flags_[id] |= YamlTree::kAlias;
    tree_->nodes_[id].extent = meant->second;
    return std::nullopt;
  }

  void AppendScalar() {
    const auto& scalar = event_.data.scalar;
    const absl::string_view value(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const bool plain = scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.plain_implicit != 0;
    if (plain && IsNull(value)) {
      // A missing value stands nowhere; its key is a better place than what comes next.
      const bool keyed = !open_.empty() && open_.back().children % 2 == 1 &&
                         tree_->kind(open_.back().id) == Kind::kMap;
      const Id key = keyed ? open_.back().last_child : YamlTree::kNone;
      const Id id = Add(Kind::kNull, scalar.anchor);
      if (keyed) tree_->nodes_[id].offset = OffsetOf(key);
      return;
    }
    const Id id = Add(Kind::kScalar, scalar.anchor);
    YamlTree::Node& node = tree_->nodes_[id];
    uint8_t& flags = tree_->flags_[id];
    if (!plain) flags |= YamlTree::kQuoted;
    node.extent = static_cast<uint32_t>(value.size());
    if (text_.substr(node.offset, value.size()) == value) return;
    if (text_.substr(std::min<size_t>(node.offset + 1, text_.size()), value.size()) == value) {
      flags |= YamlTree::kInQuotes;
      return;
    }
    flags |= YamlTree::kApart;
    tree_->unescaped_.push_back({std::string(value), node.offset});
    node.offset = static_cast<uint32_t>(tree_->unescaped_.size() - 1);
  }

  // Where a node stands that is not an alias itself but may be a scalar kept apart.
  uint32_t OffsetOf(Id id) const {
    const uint32_t offset = tree_->nodes_[id].offset;
    const bool apart = (tree_->flags_[id] & YamlTree::kApart) != 0;
    return apart ? tree_->unescaped_[offset].offset : offset;
  }

  std::optional<Problem> Open(Kind kind, const yaml_char_t* anchor) {
    const Id id = Add(kind, anchor);
    if (open_.size() == YamlTree::kMaxDepth) {
      return Problem{tree_->mark(id), absl::StrCat("more than ", YamlTree::kMaxDepth,
                                                   " lists and mappings inside each other")};
    }
    open_.push_back({id, YamlTree::kNone, 0});
    return std::nullopt;
  }

  // Of this event; the anchor may be null.
  Id Add(Kind kind, const yaml_char_t* anchor) {
    const Id id = static_cast<Id>(tree_->nodes_.size());
    tree_->nodes_.push_back({offsets_.OfCharacter(event_.start_mark.index), id + 1});
    tree_->flags_.push_back(static_cast<uint8_t>(kind));
    if (!open_.empty()) {
      open_.back().last_child = id;
      ++open_.back().children;
    }
    if (anchor != nullptr) anchors_[View(anchor)] = id;
    return id;
  }

  // Notes where a second document starts, if anything follows the first.
  std::optional<Problem> LookBeyond() {
    for (const bool content : {false, true}) {
      if (!Next()) {
        // What follows without a line "---" breaks libyaml's grammar.
        if (parser_.error != YAML_PARSER_ERROR) return ParserProblem();
        const uint32_t offset = offsets_.OfCharacter(parser_.problem_mark.index);
        const absl::string_view rest = text_.substr(offset);
        if (absl::StartsWith(rest, "]") || absl::StartsWith(rest, "}")) {
          return Problem{tree_->MarkAt(offset), "this bracket closes nothing"};
        }
        tree_->second_document_ = tree_->MarkAt(offset);
        return std::nullopt;
      }
      if (event_.type == YAML_STREAM_END_EVENT) return std::nullopt;
      if (content) {
        tree_->second_document_ = tree_->MarkAt(offsets_.OfCharacter(event_.start_mark.index));
      }
    }
    return std::nullopt;
  }

  Problem ParserProblem() const {
    if (parser_.problem == nullptr) return {{}, "there is no memory left to read it"};
    std::string what = parser_.problem;
    if (parser_.error == YAML_READER_ERROR) {
      if (parser_.problem_value >= 0) {
        absl::StrAppendFormat(&what, " (0x%02X)", parser_.problem_value);
      }
      return {tree_->MarkAt(static_cast<uint32_t>(parser_.problem_offset)), what};
    }
    // From the start: a problem may stand before what was reported last.
    const uint32_t offset = Offsets(text_).OfCharacter(parser_.problem_mark.index);
    const Mark mark = tree_->MarkAt(offset);
    if (what == "found character that cannot start any token" &&
        absl::StartsWith(text_.substr(offset), "\t")) {
      what = "a tab stands where only spaces may";
    }
    if (what == "mapping values are not allowed in this context") {
      what += "; put text that has \": \" in it into quotes";
    }
    if (parser_.context != nullptr) {
      absl::StrAppend(&what, ", ", parser_.context);
      const int line = tree_->MarkAt(Offsets(text_).OfCharacter(parser_.context_mark.index)).line;
      if (line != mark.line) absl::StrAppend(&what, " from line ", line);
    }
    return {mark, what};
  }

  YamlTree* tree_;
  absl::string_view text_;
  Offsets offsets_;
  yaml_parser_t parser_ = {};
  yaml_event_t event_ = {};  // the last
  std::vector<OpenNode> open_;
  absl::flat_hash_map<std::string, Id> anchors_;  // the last of each name
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

std::optional<Problem> YamlTree::Parse(std::string text) {
  nodes_.clear();
  flags_.clear();
  unescaped_.clear();
  second_document_ = {};
  if (absl::StartsWith(text, "\xEF\xBB\xBF")) text.erase(0, 3);  // a byte order mark
  const bool json = absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "{");
  if (json && absl::StrContains(text, "\\u")) text = JoinSurrogates(text);
  if (text.size() > kMaxBytes) return Problem{{}, "it is larger than 4 GiB"};
  text_ = std::move(text);
  lines_.assign(1, 0);
  for (size_t end = text_.find('\n'); end != text_.npos; end = text_.find('\n', end + 1)) {
    lines_.push_back(static_cast<uint32_t>(end + 1));
  }
  // Memory that stays untouched costs nothing; growing step by step would hold two copies at once.
  nodes_.reserve(text_.size() / 4);
  flags_.reserve(text_.size() / 4);
  return YamlTreeBuilder(this).Build();
}

Mark YamlTree::MarkAt(uint32_t offset) const {
  const auto next = std::upper_bound(lines_.begin(), lines_.end(), offset);
  return {static_cast<int>(next - lines_.begin()), static_cast<int>(offset - *(next - 1)) + 1};
}

Mark YamlTree::mark(Id id) const {
  id = Target(id);
  const uint32_t offset = nodes_[id].offset;
  return MarkAt((flags_[id] & kApart) != 0 ? unescaped_[offset].offset : offset);
}

absl::string_view YamlTree::text(Id id) const {
  id = Target(id);
  const Node& node = nodes_[id];
  const uint8_t flags = flags_[id];
  if ((flags & kKindBits) != static_cast<uint8_t>(Kind::kScalar)) return "";
  if ((flags & kApart) != 0) return unescaped_[node.offset].text;
  return absl::string_view(text_).substr(node.offset + ((flags & kInQuotes) != 0 ? 1 : 0),
                                         node.extent);
}

YamlTree::Ids YamlTree::Items(Id sequence) const {
  Ids items;
  const Id target = Target(sequence);
  if (!IsCollection(target)) return items;
  for (Id id = target + 1; id < nodes_[target].extent; id = After(id)) items.push_back(id);
  return items;
}

YamlTree::PairList YamlTree::Pairs(Id map) const {
  PairList pairs;
  const Id target = Target(map);
  if (!IsCollection(target)) return pairs;
  const Id end = nodes_[target].extent;
  for (Id key = target + 1; key < end;) {
    const Id value = After(key);
    if (value >= end) break;
    pairs.push_back({key, value});
    key = After(value);
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
