#include "cli/command_advice.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cli/file_problems.h"

namespace kartograph::cli {
namespace {

using Words = std::vector<std::string>;

constexpr absl::string_view kShells[] = {"sh", "bash", "dash", "ash", "ksh", "zsh"};
constexpr absl::string_view kInterpreters[] = {"python", "perl", "ruby",  "node",
                                               "php",    "lua",  "julia", "Rscript"};
constexpr absl::string_view kScripts[] = {".py",  ".sh",  ".bash", ".pl", ".rb", ".js", ".ts",
                                          ".mjs", ".php", ".lua",  ".jl", ".R",  ".r"};
// Commands before another that is what the line is about.
constexpr absl::string_view kPrefixes[] = {"exec", "time", "nice", "nohup", "command", "env"};
// Commands after which the folder is as empty as before.
constexpr absl::string_view kMakeNothing[] = {"set",   "export", "echo",  "printf",  "true",
                                              ":",     "sleep",  "umask", "ulimit",  "trap",
                                              "unset", "date",   "shopt", "hostname"};

absl::string_view BaseName(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

bool IsShell(absl::string_view program) {
  return absl::c_linear_search(kShells, BaseName(program));
}

bool IsInterpreter(absl::string_view program) {
  absl::string_view name = BaseName(program);
  // As in python3.11.
  name = name.substr(0, name.find_last_not_of("0123456789.") + 1);
  return IsShell(program) || absl::c_linear_search(kInterpreters, name);
}

bool IsOption(absl::string_view word) { return absl::StartsWith(word, "-"); }

// Whether it stands for itself in a shell, and names a place from the working directory on.
bool IsRelative(absl::string_view word) {
  return !word.empty() && word[0] != '/' && word[0] != '~' &&
         word.find_first_of("$`*?{") == absl::string_view::npos;
}

bool LooksLikeScript(absl::string_view word) {
  return absl::c_any_of(kScripts, [&](auto end) { return absl::EndsWith(word, end); });
}

// Which of a program and its arguments is a file that is not there, in an empty folder.
std::optional<std::string> MissingFile(const Words& words) {
  if (words.empty()) return std::nullopt;
  const std::string& program = words[0];
  if (absl::StrContains(program, '/') && IsRelative(program)) return program;
  const bool reads = program == "." || program == "source";
  if (!reads && !IsInterpreter(program)) return std::nullopt;
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string& word = words[i];
    // A text or a module instead of a file: -c, -euc, -e, -m.
    if (IsOption(word) && !absl::StartsWith(word, "--") && absl::StrContains("cem", word.back()) &&
        (word.back() != 'e' || !IsShell(program))) {
      return std::nullopt;
    }
    if (IsOption(word)) continue;
    if (!IsRelative(word)) return std::nullopt;
    if (LooksLikeScript(word) || (reads && absl::StrContains(word, '/'))) return word;
  }
  return std::nullopt;
}

// The commands of a shell's text one after the other, as words without their quotes. Knows as much
// of a shell's grammar as it takes not to be misled by it: what it does not know ends the reading.
class ShellText {
 public:
  explicit ShellText(absl::string_view text) : text_(text) {}

  // The words of the next command; nothing at the end, or where it does not begin as a plain one.
  std::optional<Words> Next() {
    Words words;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (absl::StrContains("\n;&|", c)) {
        ++at_;
        if (!words.empty()) break;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++at_;
      } else if (absl::StartsWith(text_.substr(at_), "\\\n")) {
        at_ += 2;
      } else if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (std::optional<std::string> word = Word()) {
        words.push_back(*std::move(word));
      } else {
        at_ = text_.size();
      }
    }
    return words.empty() ? std::nullopt : std::optional<Words>(words);
  }

 private:
  std::optional<std::string> Word() {
    std::string word;
    const size_t start = at_;
    while (at_ < text_.size() && !absl::StrContains(" \t\r\n;&|<>", text_[at_])) {
      const char c = text_[at_++];
      if (absl::StrContains("(){}`", c)) return std::nullopt;
      if (c == '\'' || c == '"') {
        const size_t end = text_.find(c, at_);
        if (end == absl::string_view::npos) return std::nullopt;
        absl::StrAppend(&word, text_.substr(at_, end - at_));
        at_ = end + 1;
      } else if (c == '\\' && at_ < text_.size()) {
        word.push_back(text_[at_++]);
      } else {
        word.push_back(c);
      }
    }
    if (at_ == start) return std::nullopt;  // at a redirection
    return word;
  }

  const absl::string_view text_;
  size_t at_ = 0;
};

bool IsAssignment(absl::string_view word) {
  const size_t name =
      word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
  return name != 0 && name != absl::string_view::npos && word[name] == '=';
}

// The file that a text misses in an empty folder, as far as its first command tells that does
// anything: later ones may find what it made.
std::optional<std::string> MissingFile(absl::string_view text) {
  ShellText commands(text);
  while (std::optional<Words> words = commands.Next()) {
    while (!words->empty() &&
           (IsAssignment(words->front()) || absl::c_linear_search(kPrefixes, words->front()))) {
      words->erase(words->begin());
    }
    if (words->empty() || absl::c_linear_search(kMakeNothing, words->front())) continue;
    if (words->front() == "cd") {
      const bool stays = words->size() != 2 || (*words)[1] == "." || (*words)[1] == "..";
      if (stays || !IsRelative((*words)[1]) || IsOption((*words)[1])) return std::nullopt;
      return (*words)[1];
    }
    return MissingFile(*words);
  }
  return std::nullopt;
}

// Whether a text holds several commands in lines of their own, and nothing that ends it when one of
// them fails.
bool GoesOnAfterFailure(absl::string_view text) {
  if (absl::StrContains(text, "set -") || absl::StartsWith(text, "#!")) return false;
  bool one_before = false;
  for (absl::string_view part : absl::StrSplit(text, '\n')) {
    part = absl::StripAsciiWhitespace(part);
    if (part.empty() || part[0] == '#') continue;
    if (one_before) return true;
    // What continues in the next line decides there.
    const bool continues = absl::EndsWith(part, "\\") || absl::EndsWith(part, "&&") ||
                           absl::EndsWith(part, "||") || absl::EndsWith(part, "|");
    one_before = !continues;
  }
  return false;
}

// Whether a shell with these options ends with the first command that fails.
bool EndsWithFailure(absl::Span<const std::string> shell) {
  return absl::c_any_of(shell, [](const std::string& word) {
    if (word == "errexit") return true;
    return IsOption(word) && !absl::StartsWith(word, "--") && absl::StrContains(word, 'e');
  });
}

// Whether an argument is a variable's name where a shell would put its value: "$HOME", "${A}/b",
// "--to=$A". Others may be meant, as a dollar sign in a pattern of sed is.
bool IsVariable(absl::string_view word) {
  if (IsOption(word)) word.remove_prefix(std::min(word.find('=') + 1, word.size()));
  if (!NamesVariable(word) || word[0] != '$') return false;
  absl::ConsumePrefix(&word, "$");
  const bool braces = absl::ConsumePrefix(&word, "{");
  while (!word.empty() &&
         (word[0] == '_' || absl::ascii_isalnum(static_cast<unsigned char>(word[0])))) {
    word.remove_prefix(1);
  }
  if (braces && !absl::ConsumePrefix(&word, "}")) return false;
  return word.empty() || (word[0] == '/' && word.find_first_of(" \t\n;|") == word.npos);
}

// A text, and the shell that runs it, as far as it is one.
struct TextOfShell {
  absl::Span<const std::string> shell;
  absl::string_view text;
};

// What a shell runs in [sh, -c, TEXT]; nothing where no shell is the program.
std::optional<TextOfShell> TextInArguments(absl::Span<const std::string> words) {
  if (words.empty() || !IsShell(words[0])) return std::nullopt;
  for (size_t i = 1; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (IsOption(word) && !absl::StartsWith(word, "--") && word.back() == 'c') {
      return TextOfShell{words.first(i + 1), words[i + 1]};
    }
  }
  return std::nullopt;
}

void AdviseOnText(const TextOfShell& text, bool in_own_folder, Words* advice,
                  std::optional<std::string>* missing) {
  if (in_own_folder) *missing = MissingFile(text.text);
  if (!EndsWithFailure(text.shell) && GoesOnAfterFailure(text.text)) {
    advice->push_back(
        "the shell goes on after a line that fails; begin with \"set -e\" to stop there, or give "
        "`shell: [bash, -euo, pipefail, -c]`");
  }
}

void AdviseOnArguments(const Words& words, Words* advice) {
  for (const std::string& word : words) {
    if (IsVariable(word)) {
      advice->push_back(absl::StrCat(
          Quoted(word), " is passed on unchanged; variables are expanded in shell commands only"));
    } else if (word == "~" || absl::StartsWith(word, "~/")) {
      advice->push_back(absl::StrCat(
          Quoted(word), " is passed on unchanged; \"~\" is expanded in shell commands only"));
    } else {
      continue;
    }
    return;  // the others are likely to be meant alike
  }
}

}  // namespace

std::vector<std::string> CommandAdvice(const v1::Command& command,
                                       absl::Span<const std::string> shell, bool in_own_folder) {
  Words advice;
  std::optional<std::string> missing;
  if (!command.shell().empty()) {
    // Other programs may take any text: what it means is theirs.
    if (shell.empty() || absl::c_any_of(shell, IsShell)) {
      AdviseOnText({shell, command.shell()}, in_own_folder, &advice, &missing);
    }
  } else {
    const Words words(command.arguments().begin(), command.arguments().end());
    if (const std::optional<TextOfShell> text = TextInArguments(words)) {
      AdviseOnText(*text, in_own_folder, &advice, &missing);
    } else {
      if (in_own_folder) missing = MissingFile(words);
      AdviseOnArguments(words, &advice);
    }
  }
  if (missing.has_value()) {
    advice.insert(advice.begin(),
                  absl::StrCat(Quoted(*missing),
                               " is looked for in the attempt's own, empty folder; give its full "
                               "path, or a `directory`"));
  }
  return advice;
}

std::string RamAdvice(absl::string_view text, const planner::Quantity& ram) {
  constexpr double kLikelyBytes = 1 << 20;  // nothing runs in less
  constexpr double kLikelyGibibytes = 64;
  if (ram.units() <= 0 || ram.units() >= kLikelyBytes) return "";
  return absl::StrCat(Quoted(text), " is a number of bytes; did you mean \"", text,
                      ram.units() <= kLikelyGibibytes ? "GiB" : "MiB", "\"?");
}

bool NamesVariable(absl::string_view text) {
  for (size_t at = text.find('$'); at != absl::string_view::npos; at = text.find('$', at + 1)) {
    const char next = at + 1 < text.size() ? text[at + 1] : ' ';
    if (next == '{' || next == '_' || absl::ascii_isalpha(static_cast<unsigned char>(next))) {
      return true;
    }
  }
  return false;
}

bool NamesCommand(absl::string_view text) {
  const size_t begin = text.find("$(");
  if (begin != absl::string_view::npos && text.find(')', begin) != absl::string_view::npos) {
    return true;
  }
  return std::count(text.begin(), text.end(), '`') >= 2;
}

bool NamesHome(absl::string_view value) {
  return value == "~" || absl::StartsWith(value, "~/") || absl::StrContains(value, ":~/");
}

}  // namespace kartograph::cli
