#include "yaml/yaml_tree.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "yaml/json_reader.h"
#include "yaml/tree_builder.h"
#include "yaml/yaml_reader.h"

namespace kartograph::yaml {
namespace {

// What begins like this may be JSON, and a mapping or list of YAML as well.
bool BeginsLikeJson(absl::string_view text) {
  text = absl::StripLeadingAsciiWhitespace(text);
  return absl::StartsWith(text, "{") || absl::StartsWith(text, "[");
}

}  // namespace

std::optional<Problem> YamlTree::Parse(std::string text, bool json_only) {
  if (absl::StartsWith(text, "\xEF\xBB\xBF")) text.erase(0, 3);  // a byte order mark
  if (text.size() > kMaxBytes) return Problem{{}, "it is larger than 4GiB"};
  text_ = std::move(text);
  lines_.assign(1, 0);
  for (size_t end = text_.find('\n'); end != text_.npos; end = text_.find('\n', end + 1)) {
    lines_.push_back(static_cast<uint32_t>(end + 1));
  }
  // A file with nothing in it is empty, whatever it was to be.
  const bool blank = absl::StripAsciiWhitespace(text_).empty();
  if (!BeginsLikeJson(text_) && (!json_only || blank)) {
    TreeBuilder builder(this);
    return ReadYaml(&builder);
  }
  std::optional<Problem> of_json;
  {
    TreeBuilder builder(this);
    of_json = ReadJson(&builder);
  }
  if (!of_json.has_value() || json_only) return of_json;
  TreeBuilder builder(this);
  const std::optional<Problem> of_yaml = ReadYaml(&builder);
  // The one that came further says what is wrong; the other, that it is not its language.
  return of_yaml.has_value() && of_json->mark >= of_yaml->mark ? of_json : of_yaml;
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
