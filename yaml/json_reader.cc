#include "yaml/json_reader.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>  // the library itself, here alone
#include <cstddef>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace kartograph::yaml {
namespace {

namespace json = boost::json;
using Kind = YamlTree::Kind;

// Gets what Boost.JSON reads. That says what a token is, not where it stands: tokens follow each
// other, so each is found by going on from the end of the last one.
class Handler {
 public:
  // Names that Boost.JSON looks for. The size of the text limits what is in it.
  // NOLINTBEGIN(readability-identifier-naming)
  static constexpr size_t max_object_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_array_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_key_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_string_size = std::numeric_limits<size_t>::max();
  // NOLINTEND(readability-identifier-naming)

  explicit Handler(TreeBuilder* builder) : builder_(*builder), text_(builder->text()) {}

  // What stopped the parser, where the handler did.
  std::optional<Problem> TakeProblem() { return std::move(problem_); }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code& error) { return Open(Kind::kMap, &error); }
  bool on_object_end(size_t, json::error_code&) { return Close(); }
  bool on_array_begin(json::error_code& error) { return Open(Kind::kSequence, &error); }
  bool on_array_end(size_t, json::error_code&) { return Close(); }
  bool on_key_part(json::string_view part, size_t, json::error_code&) { return AddPart(part); }
  bool on_key(json::string_view last, size_t, json::error_code&) { return AddString(last); }
  bool on_string_part(json::string_view part, size_t, json::error_code&) { return AddPart(part); }
  bool on_string(json::string_view last, size_t, json::error_code&) { return AddString(last); }
  // Numbers stay as they are written.
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t, json::string_view, json::error_code&) { return AddWord(); }
  bool on_uint64(uint64_t, json::string_view, json::error_code&) { return AddWord(); }
  bool on_double(double, json::string_view, json::error_code&) { return AddWord(); }
  bool on_bool(bool, json::error_code&) { return AddWord(); }
  bool on_null(json::error_code&) {
    builder_.AddNull(static_cast<uint32_t>(NextToken()));
    SkipWord();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  // Where the next token starts, past what stands between two.
  size_t NextToken() {
    at_ = text_.find_first_not_of(" \t\r\n,:", at_);
    return at_;
  }
  void SkipWord() { at_ = std::min(text_.find_first_of(" \t\r\n,:]}", at_), text_.size()); }

  bool Open(Kind kind, json::error_code* error) {
    problem_ = builder_.Open(kind, static_cast<uint32_t>(NextToken()));
    if (problem_.has_value()) *error = json::error::too_deep;
    ++at_;
    return !problem_.has_value();
  }
  bool Close() {
    builder_.Close();
    at_ = NextToken() + 1;
    return true;
  }
  bool AddPart(json::string_view part) {
    parts_.append(part.data(), part.size());
    return true;
  }
  bool AddString(json::string_view last) {
    absl::string_view value(last.data(), last.size());
    if (!parts_.empty()) value = parts_.append(last.data(), last.size());
    builder_.AddScalar(static_cast<uint32_t>(NextToken()), value, /*plain=*/false);
    parts_.clear();
    for (++at_; text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    ++at_;
    return true;
  }
  bool AddWord() {
    const size_t start = NextToken();
    SkipWord();
    builder_.AddScalar(static_cast<uint32_t>(start), text_.substr(start, at_ - start),
                       /*plain=*/true);
    return true;
  }

  TreeBuilder& builder_;
  const absl::string_view text_;
  size_t at_ = 0;      // the end of the last token
  std::string parts_;  // of a string with escapes, until its last part
  std::optional<Problem> problem_;
};

// Whether an escape of the first half of a surrogate pair ends there; the second half may have
// begun.
bool EndsInHalf(absl::string_view text) {
  constexpr size_t kEscape = 6;  // \ud83d
  absl::ConsumeSuffix(&text, "\\");
  if (text.size() < kEscape) return false;
  const absl::string_view escape = text.substr(text.size() - kEscape);
  text.remove_suffix(kEscape);
  const size_t backslashes = text.size() - (text.find_last_not_of('\\') + 1);
  uint32_t code;
  return backslashes % 2 == 0 && absl::StartsWith(escape, "\\u") &&
         absl::SimpleHexAtoi(escape.substr(2), &code) && code >= 0xD800 && code < 0xDC00;
}

// What is wrong where the parser stopped, with what would be right where that is plain.
std::string Explanation(const json::error_code& error, absl::string_view text, size_t offset) {
  if (error == json::error::illegal_leading_surrogate ||
      error == json::error::illegal_trailing_surrogate ||
      error == json::error::expected_utf16_escape ||
      (error == json::error::syntax && EndsInHalf(text.substr(0, offset)))) {
    return "half of a surrogate pair; a character above U+FFFF takes two escapes, such as "
           "\\ud83d\\ude00";
  }
  if (error == json::error::expected_hex_digit) return "\\u takes four hexadecimal digits";
  if (error == json::error::exponent_overflow) return "the number is too large";
  if (error == json::error::incomplete || offset >= text.size()) {
    return "the file ends in the middle of it";
  }
  if (error != json::error::syntax) return error.message();
  const absl::string_view rest = text.substr(offset);
  const unsigned char c = static_cast<unsigned char>(rest[0]);
  if (c >= 0x80) return "not UTF-8, or text that is not in double quotes";
  if (c == '\'') return "text stands in double quotes, not in single ones";
  if (c == '/' || c == '#') return "a comment, which JSON does not have";
  const size_t before = text.substr(0, offset).find_last_not_of(" \t\r\n");
  const bool after_comma = before != absl::string_view::npos && text[before] == ',';
  if (after_comma && (c == ']' || c == '}')) return "nothing follows the comma before this bracket";
  return absl::StrCat(
      "unexpected ",
      c == '"' ? "quotation mark" : absl::StrCat("'", absl::CHexEscape(rest.substr(0, 1)), "'"));
}

}  // namespace

std::optional<Problem> ReadJson(TreeBuilder* builder) {
  const absl::string_view text = builder->text();
  json::parse_options options;
  options.max_depth = YamlTree::kMaxDepth + 1;  // the builder's limit comes first
  json::basic_parser<Handler> parser(options, builder);
  json::error_code error;
  const size_t end = parser.write_some(/*more=*/false, text.data(), text.size(), error);
  std::optional<Problem> problem = parser.handler().TakeProblem();
  if (!problem.has_value() && error.failed()) {
    problem = Problem{builder->MarkAt(static_cast<uint32_t>(end)), Explanation(error, text, end)};
  }
  if (!problem.has_value() && end < text.size()) {
    const bool bracket = text[end] == ']' || text[end] == '}';
    problem = Problem{builder->MarkAt(static_cast<uint32_t>(end)),
                      bracket ? "this bracket closes nothing" : "more text after the end"};
  }
  if (problem.has_value()) problem->language = "JSON";
  return problem;
}

}  // namespace kartograph::yaml
