#include "yaml/yaml_reader.h"

#include <yaml.h>

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
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

// Passes on what libyaml reports. The only place that knows libyaml.
class Reader {
 public:
  explicit Reader(TreeBuilder* builder)
      : builder_(*builder), text_(builder->text()), offsets_(text_) {
    if (yaml_parser_initialize(&parser_) == 0) return;  // and nothing can be parsed
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const yaml_char_t*>(text_.data()),
                                 text_.size());
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }

  std::optional<Problem> Read() {
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

  bool Next() {
    yaml_event_delete(&event_);
    return parser_.read_handler != nullptr && yaml_parser_parse(&parser_, &event_) != 0;
  }

  // Where this event starts.
  uint32_t Offset() { return offsets_.OfCharacter(event_.start_mark.index); }

  std::optional<Problem> Append() {
    switch (event_.type) {
      case YAML_ALIAS_EVENT:
        return AppendAlias();
      case YAML_SCALAR_EVENT:
        AppendScalar();
        break;
      case YAML_SEQUENCE_START_EVENT:
        NoteAnchor(event_.data.sequence_start.anchor);
        return builder_.Open(Kind::kSequence, Offset());
      case YAML_MAPPING_START_EVENT:
        NoteAnchor(event_.data.mapping_start.anchor);
        return builder_.Open(Kind::kMap, Offset());
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        builder_.Close();
        break;
      default:  // of streams and documents
        break;
    }
    return std::nullopt;
  }

  // The anchor, which may be null, is that of the node that is added next.
  void NoteAnchor(const yaml_char_t* anchor) {
    if (anchor != nullptr) anchors_[View(anchor)] = builder_.next();
  }

  std::optional<Problem> AppendAlias() {
    const uint32_t offset = Offset();
    const absl::string_view name = View(event_.data.alias.anchor);
    const auto meant = anchors_.find(name);
    if (meant == anchors_.end()) {
      return Problem{builder_.MarkAt(offset),
                     absl::StrCat("no anchor before this alias is named ", name)};
    }
    builder_.AddAlias(offset, meant->second);
    return std::nullopt;
  }

  void AppendScalar() {
    const auto& scalar = event_.data.scalar;
    const absl::string_view value(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const bool plain = scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.plain_implicit != 0;
    NoteAnchor(scalar.anchor);
    const uint32_t offset = Offset();
    if (plain && IsNull(value)) {
      // A missing value stands nowhere; its key is a better place than what comes next.
      builder_.AddNull(builder_.OpenKey().value_or(offset));
    } else {
      builder_.AddScalar(offset, value, plain);
    }
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
          return Problem{builder_.MarkAt(offset), "this bracket closes nothing"};
        }
        builder_.SetSecondDocument(offset);
        return std::nullopt;
      }
      if (event_.type == YAML_STREAM_END_EVENT) return std::nullopt;
      if (content) builder_.SetSecondDocument(Offset());
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
      return {builder_.MarkAt(static_cast<uint32_t>(parser_.problem_offset)), what};
    }
    // From the start: a problem may stand before what was reported last.
    const uint32_t offset = Offsets(text_).OfCharacter(parser_.problem_mark.index);
    const Mark mark = builder_.MarkAt(offset);
    if (what == "found character that cannot start any token" &&
        absl::StartsWith(text_.substr(offset), "\t")) {
      what = "a tab stands where only spaces may";
    }
    // In braces or brackets the second colon of a line is one too many.
    const size_t line_start = text_.rfind('\n', offset) + 1;  // 0 where there is none
    const bool second_colon =
        absl::StartsWith(what, "did not find expected ','") &&
        absl::StartsWith(text_.substr(offset), ": ") && line_start <= offset &&
        absl::StrContains(text_.substr(line_start, offset - line_start), ": ");
    if (second_colon || what == "mapping values are not allowed in this context") {
      what += "; put text that has \": \" in it into quotes";
    }
    if (parser_.context != nullptr) {
      absl::StrAppend(&what, ", ", parser_.context);
      const int line = builder_.MarkAt(Offsets(text_).OfCharacter(parser_.context_mark.index)).line;
      if (line != mark.line) absl::StrAppend(&what, " from line ", line);
    }
    return {mark, what};
  }

  TreeBuilder& builder_;
  const absl::string_view text_;
  Offsets offsets_;
  yaml_parser_t parser_ = {};
  yaml_event_t event_ = {};                       // the last
  absl::flat_hash_map<std::string, Id> anchors_;  // the last of each name
};

}  // namespace

std::optional<Problem> ReadYaml(TreeBuilder* builder) { return Reader(builder).Read(); }

}  // namespace kartograph::yaml
