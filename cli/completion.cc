#include "cli/completion.h"

#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace kartograph::cli {
namespace {

using Kind = CompletedWord::Kind;

// Ids and names of the newest graphs; nothing where the service does not answer.
constexpr char kGraphs[] =
    "kartograph list --limit 50 2>/dev/null | awk 'NR > 1 {print $1; print $2}' | sort -u";
// Those of the graph that was typed before.
constexpr char kTasks[] =
    "kartograph status \"$graph\" --tasks 2>/dev/null | awk 'NR > 1 {print $1}'";
// Of the client queues that hold something.
constexpr char kQueues[] = "kartograph queue list 2>/dev/null | awk 'NR > 1 && NF == 3 {print $1}'";

bool IsTopLevel(const CompletedCommand& command) { return !absl::StrContains(command.name, ' '); }

std::string NamesOf(const std::vector<CompletedOption>& options) {
  return absl::StrJoin(options, " ", [](std::string* text, const CompletedOption& option) {
    text->append(option.name);
  });
}

std::string Options(const CompletedCommand& command, const std::vector<CompletedOption>& general) {
  return absl::StrCat(NamesOf(command.options), command.options.empty() ? "" : " ",
                      NamesOf(general));
}

// Calls `visit` for every option that takes a value, with its word as a pattern of `case` after
// the command's name: 'queue pop --wait', or *' --server' of all commands.
void ForEachValue(absl::Span<const CompletedCommand> commands,
                  const std::vector<CompletedOption>& general,
                  const std::function<void(const std::string&, const CompletedWord&)>& visit) {
  for (const CompletedOption& option : general) {
    if (option.value.kind == Kind::kNothing) continue;
    visit(absl::StrCat("*' ", option.name, "'"), option.value);
  }
  for (const CompletedCommand& command : commands) {
    for (const CompletedOption& option : command.options) {
      if (option.value.kind == Kind::kNothing) continue;
      visit(absl::StrCat("'", command.name, " ", option.name, "'"), option.value);
    }
  }
}

// The cases, one a line, of a `case` of bash or zsh. `action` makes what is done for a word; where
// that is nothing, there is no case.
std::string ValueCases(absl::Span<const CompletedCommand> commands,
                       const std::vector<CompletedOption>& general,
                       const std::function<std::string(const CompletedWord&)>& action) {
  std::string cases;
  ForEachValue(commands, general, [&](const std::string& pattern, const CompletedWord& word) {
    const std::string done = action(word);
    if (!done.empty()) absl::StrAppend(&cases, "      ", pattern, ") ", done, " ;;\n");
  });
  return cases;
}

std::string WordCases(absl::Span<const CompletedCommand> commands,
                      const std::function<std::string(const CompletedWord&)>& action) {
  std::string cases;
  for (const CompletedCommand& command : commands) {
    const std::string done = action(command.takes);
    if (!done.empty()) absl::StrAppend(&cases, "      '", command.name, "') ", done, " ;;\n");
  }
  return cases;
}

std::string OptionCases(absl::Span<const CompletedCommand> commands,
                        const std::vector<CompletedOption>& general) {
  std::string cases;
  for (const CompletedCommand& command : commands) {
    absl::StrAppend(&cases, "      '", command.name, "') words='", Options(command, general),
                    "' ;;\n");
  }
  absl::StrAppend(&cases, "      *) words='", NamesOf(general), "' ;;\n");
  return cases;
}

// What bash and zsh have in common: walks over the words before the one that is completed, and
// leaves the command's full name in `command`, its first word in `graph`, and in `option` the
// option whose value is completed. `before`: the loop's head, which sets `typed`.
std::string Walk(absl::Span<const CompletedCommand> commands,
                 const std::vector<CompletedOption>& general, absl::string_view before) {
  std::string values;
  ForEachValue(commands, general, [&](const std::string& pattern, const CompletedWord&) {
    absl::StrAppend(&values, values.empty() ? "" : "|", pattern);
  });
  std::string groups;
  for (const CompletedCommand& command : commands) {
    if (command.has_commands) absl::StrAppend(&groups, groups.empty() ? "" : "|", command.name);
  }
  return absl::StrCat(before, R"(
    if [[ -n $option ]]; then
      [[ $typed == '=' ]] || option=
      continue
    fi
    case "$command $typed" in
      )",
                      values, R"() option=$typed; continue ;;
    esac
    [[ $typed == -* ]] && continue
    case $command in
      '') command=$typed ;;
      )",
                      groups, R"() command="$command $typed" ;;
      *) [[ -z $graph ]] && graph=$typed ;;
    esac
  done
)");
}

std::string TopLevelNames(absl::Span<const CompletedCommand> commands) {
  std::string names;
  for (const CompletedCommand& command : commands) {
    if (IsTopLevel(command)) absl::StrAppend(&names, names.empty() ? "" : " ", command.name);
  }
  return names;
}

std::string Bash(absl::Span<const CompletedCommand> commands,
                 const std::vector<CompletedOption>& general) {
  const auto action = [](const CompletedWord& word) -> std::string {
    switch (word.kind) {
      case Kind::kFile:
        return "mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return";
      case Kind::kFolder:
        return "mapfile -t COMPREPLY < <(compgen -d -- \"$word\"); return";
      case Kind::kGraph:
        return absl::StrCat("[[ -z $graph ]] && words=$(", kGraphs, ")");
      case Kind::kGraphAndTask:
        return absl::StrCat("if [[ -z $graph ]]; then words=$(", kGraphs, "); else words=$(",
                            kTasks, "); fi");
      case Kind::kQueue:
        return absl::StrCat("words=$(", kQueues, ")");
      case Kind::kChoice:
        return absl::StrCat("words='", absl::StrJoin(word.choices, " "), "'");
      case Kind::kNothing:
      case Kind::kText:
        return "";
    }
    return "";
  };
  return absl::StrCat(R"(_kartograph() {
  local word=${COMP_WORDS[COMP_CWORD]} command= graph= option= words= typed i
)",
                      Walk(commands, general, R"(  for ((i = 1; i < COMP_CWORD; i++)); do
    typed=${COMP_WORDS[i]})"),
                      R"(  # bash splits --option=value into three words.
  if [[ $word == '=' ]]; then
    option=${COMP_WORDS[COMP_CWORD - 1]}
    word=
  fi
  COMPREPLY=()
  if [[ -n $option ]]; then
    case "$command $option" in
)",
                      ValueCases(commands, general, action), R"(    esac
  elif [[ $word == -* ]]; then
    case $command in
)",
                      OptionCases(commands, general), R"(    esac
  else
    case $command in
      '') words=')",
                      TopLevelNames(commands), "' ;;\n", WordCases(commands, action), R"(    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _kartograph kartograph
)");
}

std::string Zsh(absl::Span<const CompletedCommand> commands,
                const std::vector<CompletedOption>& general) {
  const auto action = [](const CompletedWord& word) -> std::string {
    switch (word.kind) {
      case Kind::kFile:
        return "_files";
      case Kind::kFolder:
        return "_files -/";
      case Kind::kGraph:
        return absl::StrCat("[[ -z $graph ]] && compadd -- $(", kGraphs, ")");
      case Kind::kGraphAndTask:
        return absl::StrCat("if [[ -z $graph ]]; then compadd -- $(", kGraphs,
                            "); else compadd -- $(", kTasks, "); fi");
      case Kind::kQueue:
        return absl::StrCat("compadd -- $(", kQueues, ")");
      case Kind::kChoice:
        return absl::StrCat("compadd -- ", absl::StrJoin(word.choices, " "));
      case Kind::kNothing:
      case Kind::kText:
        return "";
    }
    return "";
  };
  std::string described;
  for (const CompletedCommand& command : commands) {
    if (!IsTopLevel(command)) continue;
    absl::StrAppend(&described, "    '", command.name, ":",
                    absl::StrReplaceAll(command.description, {{"'", "'\\''"}, {":", "\\:"}}),
                    "'\n");
  }
  return absl::StrCat(R"(#compdef kartograph
_kartograph() {
  local -a described
  local command= graph= option= words_= typed= i
  described=(
)",
                      described, "  )\n",
                      Walk(commands, general, R"(  for ((i = 2; i < CURRENT; i++)); do
    typed=$words[i])"),
                      R"(  if [[ -z $option && $PREFIX == --*=* ]]; then
    option=${PREFIX%%=*}
    compset -P '*='
  fi
  if [[ -n $option ]]; then
    case "$command $option" in
)",
                      ValueCases(commands, general, action), R"(    esac
  elif [[ $PREFIX == -* ]]; then
    case $command in
)",
                      absl::StrReplaceAll(OptionCases(commands, general), {{"words=", "words_="}}),
                      R"(    esac
    compadd -- ${=words_}
  else
    case $command in
      '') _describe command described ;;
)",
                      WordCases(commands, action), R"(    esac
  fi
}
compdef _kartograph kartograph
)");
}

// For fish: what completes this word, as options of `complete`; empty where nothing does.
std::string FishWord(const CompletedWord& word) {
  const auto run = [](absl::string_view command) {
    return absl::StrCat(" -x -a \"(", absl::StrReplaceAll(command, {{"$", "\\$"}}), ")\"");
  };
  switch (word.kind) {
    case Kind::kFile:
      return " -r -F";
    case Kind::kFolder:
      return " -x -a '(__fish_complete_directories)'";
    case Kind::kGraph:
    case Kind::kGraphAndTask:
      return run(kGraphs);
    case Kind::kQueue:
      return run(kQueues);
    case Kind::kChoice:
      return absl::StrCat(" -x -a '", absl::StrJoin(word.choices, " "), "'");
    case Kind::kText:
      return " -x";
    case Kind::kNothing:
      return "";
  }
  return "";
}

std::string FishOption(const CompletedOption& option) {
  return absl::StrCat(" -l ", absl::string_view(option.name).substr(2), FishWord(option.value),
                      "\n");
}

std::string Fish(absl::Span<const CompletedCommand> commands,
                 const std::vector<CompletedOption>& general) {
  std::string script =
      R"(# The words before the cursor but for options, and the values of those that every command takes.
function __kartograph_words
    set -l value 0
    for word in (commandline -opc)[2..-1]
        if test $value = 1
            set value 0
            continue
        end
        switch $word
            case)";
  for (const CompletedOption& option : general) {
    if (option.value.kind != Kind::kNothing) absl::StrAppend(&script, " ", option.name);
  }
  script += R"(
                set value 1
            case '-*'
            case '*'
                echo $word
        end
    end
end
# Whether the command line has so many words and begins with these.
function __kartograph_after
    set -l words (__kartograph_words)
    set -l names $argv[2..-1]
    set -l count (count $names)
    if test $count -gt 0
        test (count $words) -ge $count; or return 1
        test "$words[1..$count]" = "$names"; or return 1
    end
    test $argv[1] = any; or test (count $words) = $argv[1]
end
complete -c kartograph -f
)";
  for (const CompletedOption& option : general) {
    absl::StrAppend(&script, "complete -c kartograph", FishOption(option));
  }
  for (const CompletedCommand& command : commands) {
    const auto after = [&command](absl::string_view words) {
      return absl::StrCat("complete -c kartograph -n '__kartograph_after ", words, " ",
                          command.name, "'");
    };
    const int depth = IsTopLevel(command) ? 1 : 2;
    if (depth == 1) {
      absl::StrAppend(&script, "complete -c kartograph -n '__kartograph_after 0' -a ", command.name,
                      " -d '", absl::StrReplaceAll(command.description, {{"'", "\\'"}}), "'\n");
    }
    for (const CompletedOption& option : command.options) {
      absl::StrAppend(&script, after("any"), FishOption(option));
    }
    const std::string word = FishWord(command.takes);
    if (!word.empty()) absl::StrAppend(&script, after(absl::StrCat(depth)), word, "\n");
    if (command.takes.kind != Kind::kGraphAndTask) continue;
    absl::StrAppend(&script, after("any"),
                    " -a \"(set -l graph (__kartograph_words)[2]; test -n "
                    "\\\"\\$graph\\\"; and ",
                    absl::StrReplaceAll(kTasks, {{"$", "\\$"}, {"\"", "\\\""}}), ")\"\n");
  }
  return script;
}

}  // namespace

std::string CompletionScript(absl::string_view shell, absl::Span<const CompletedCommand> commands,
                             const std::vector<CompletedOption>& general) {
  if (shell == "bash") return Bash(commands, general);
  if (shell == "zsh") return Zsh(commands, general);
  if (shell == "fish") return Fish(commands, general);
  return "";
}

}  // namespace kartograph::cli
