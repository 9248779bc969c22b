#include "cli/completion.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace kartograph::cli {
namespace {

using Takes = CompletedCommand::Takes;

// Ids and names of the newest graphs; nothing where the service does not answer.
constexpr char kGraphs[] =
    "kartograph list --limit 50 2>/dev/null | awk 'NR > 1 {print $1; print $2}' | sort -u";
// Those of the graph that was typed before.
constexpr char kTasks[] =
    "kartograph status \"$graph\" --tasks 2>/dev/null | awk 'NR > 1 {print $1}'";

std::string NamesOf(absl::Span<const CompletedCommand> commands) {
  return absl::StrJoin(commands, " ", [](std::string* text, const CompletedCommand& command) {
    text->append(command.name);
  });
}

// For bash and zsh: the commands whose first word is of this kind, as a pattern of `case`.
std::string Pattern(absl::Span<const CompletedCommand> commands, Takes takes) {
  std::string pattern;
  for (const CompletedCommand& command : commands) {
    if (command.takes != takes) continue;
    absl::StrAppend(&pattern, pattern.empty() ? "" : "|", command.name);
  }
  return pattern;
}

std::string Options(const CompletedCommand& command, const std::vector<std::string>& general) {
  return absl::StrCat(absl::StrJoin(command.options, " "), command.options.empty() ? "" : " ",
                      absl::StrJoin(general, " "));
}

std::string Bash(absl::Span<const CompletedCommand> commands,
                 const std::vector<std::string>& general) {
  std::string script = R"(_kartograph() {
  local word=${COMP_WORDS[COMP_CWORD]} command= graph= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --server|--state-folder|--token-file|--tls-*) ((i++)) ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=${COMP_WORDS[i]}; else graph=${COMP_WORDS[i]}; break; fi ;;
    esac
  done
  COMPREPLY=()
  if [[ $word == -* ]]; then
    case $command in
)";
  for (const CompletedCommand& command : commands) {
    absl::StrAppend(&script, "      ", command.name, ") words='", Options(command, general),
                    "' ;;\n");
  }
  absl::StrAppend(
      &script, "      *) words='", absl::StrJoin(general, " "), "' ;;\n    esac\n",
      "  else\n    case $command in\n", "      '') words='", NamesOf(commands), "' ;;\n", "      ",
      Pattern(commands, Takes::kFile), ") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n",
      "      ", Pattern(commands, Takes::kGraph), ") [[ -z $graph ]] && words=$(", kGraphs,
      ") ;;\n", "      ", Pattern(commands, Takes::kGraphAndTask),
      ") if [[ -z $graph ]]; then words=$(", kGraphs, "); else words=$(", kTasks, "); fi ;;\n",
      "      ", Pattern(commands, Takes::kShell), ") words='bash zsh fish' ;;\n",
      "    esac\n  fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n",
      "complete -o filenames -F _kartograph kartograph\n");
  return script;
}

std::string Zsh(absl::Span<const CompletedCommand> commands,
                const std::vector<std::string>& general) {
  std::string script = R"(#compdef kartograph
_kartograph() {
  local -a commands options
  local command= graph= i
  commands=(
)";
  for (const CompletedCommand& command : commands) {
    absl::StrAppend(&script, "    '", command.name, ":",
                    absl::StrReplaceAll(command.description, {{"'", "'\\''"}, {":", "\\:"}}),
                    "'\n");
  }
  script += R"(  )
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      --server|--state-folder|--token-file|--tls-*) ((i++)) ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=$words[i]; else graph=$words[i]; break; fi ;;
    esac
  done
  if [[ $PREFIX == -* ]]; then
    case $command in
)";
  for (const CompletedCommand& command : commands) {
    absl::StrAppend(&script, "      ", command.name, ") options=(", Options(command, general),
                    ") ;;\n");
  }
  absl::StrAppend(&script, "      *) options=(", absl::StrJoin(general, " "), ") ;;\n    esac\n",
                  "    compadd -- $options\n    return\n  fi\n  case $command in\n",
                  "    '') _describe command commands ;;\n", "    ",
                  Pattern(commands, Takes::kFile), ") _files ;;\n", "    ",
                  Pattern(commands, Takes::kGraph), ") [[ -z $graph ]] && compadd -- $(", kGraphs,
                  ") ;;\n", "    ", Pattern(commands, Takes::kGraphAndTask),
                  ") if [[ -z $graph ]]; then compadd -- $(", kGraphs, "); else compadd -- $(",
                  kTasks, "); fi ;;\n", "    ", Pattern(commands, Takes::kShell),
                  ") compadd -- bash zsh fish ;;\n", "  esac\n}\ncompdef _kartograph kartograph\n");
  return script;
}

std::string Fish(absl::Span<const CompletedCommand> commands,
                 const std::vector<std::string>& general) {
  std::string script = "complete -c kartograph -f\n";
  for (const std::string& option : general) {
    absl::StrAppend(&script, "complete -c kartograph -l ", absl::string_view(option).substr(2),
                    "\n");
  }
  for (const CompletedCommand& command : commands) {
    absl::StrAppend(&script, "complete -c kartograph -n __fish_use_subcommand -a ", command.name,
                    " -d '", absl::StrReplaceAll(command.description, {{"'", "\\'"}}), "'\n");
    const std::string here =
        absl::StrCat("complete -c kartograph -n '__fish_seen_subcommand_from ", command.name, "' ");
    for (const std::string& option : command.options) {
      absl::StrAppend(&script, here, "-l ", absl::string_view(option).substr(2), "\n");
    }
    switch (command.takes) {
      case Takes::kNothing:
        break;
      case Takes::kFile:
        absl::StrAppend(&script, here, "-F\n");
        break;
      case Takes::kGraph:
      case Takes::kGraphAndTask:
        absl::StrAppend(&script, here, "-a \"(", absl::StrReplaceAll(kGraphs, {{"$", "\\$"}}),
                        ")\"\n");
        break;
      case Takes::kShell:
        absl::StrAppend(&script, here, "-a 'bash zsh fish'\n");
        break;
    }
  }
  return script;
}

}  // namespace

std::string CompletionScript(absl::string_view shell, absl::Span<const CompletedCommand> commands,
                             const std::vector<std::string>& general) {
  if (shell == "bash") return Bash(commands, general);
  if (shell == "zsh") return Zsh(commands, general);
  if (shell == "fish") return Fish(commands, general);
  return "";
}

}  // namespace kartograph::cli
