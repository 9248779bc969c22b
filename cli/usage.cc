#include "cli/usage.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/argument_error.h"
#include "base/suggest.h"
#include "cli/file_problems.h"

namespace kartograph::cli {
namespace {

constexpr size_t kOptionsNamed = 5;    // where none is near enough to be meant
constexpr size_t kShortestPrefix = 5;  // of an option's name, with its dashes

// What docker, make, Slurm, Snakemake and others call an option of ours.
struct ForeignOption {
  absl::string_view word;
  absl::string_view ours;
  absl::string_view how = "";  // what else to know, after our option
};
constexpr ForeignOption kForeignOptions[] = {
    {"--memory", "--ram"},
    {"--mem", "--ram"},
    {"--cores", "--cpu"},
    {"--threads", "--cpu"},
    {"--jobs", "--cpu"},
    {"--retries", "--max-attempts", " (one more than the retries)"},
    {"--retry", "--max-attempts", " (one more than the retries)"},
    {"--cwd", "--directory"},
    {"--workdir", "--directory"},
    {"--working-directory", "--directory"},
    {"--chdir", "--directory"},
    {"--time-limit", "--timeout"},
    {"--follow", "--wait"},
    {"--watch", "--wait"},
    {"--progress", "--wait"},
    {"--pool", "--resource"},
    {"--lines", "--tail"},
    {"--count", "--limit"},
    {"--address", "--server"},
    {"--host", "--server"},
    {"--ca", "--tls-ca"},
    {"--state-dir", "--state-folder"},
    {"-n", "--tail"},
    {"-n", "--limit"},
    {"-C", "--directory"},
    {"-m", "--ram"},
    {"-V", "--version"},
    {"-v", "--version"},
};

// What they, and shells, call a command of ours. Where a word is there several times, the first one
// that the command line, or the command of commands, has.
struct ForeignCommand {
  absl::string_view word;
  absl::string_view ours;
};
constexpr ForeignCommand kForeignCommands[] = {
    {"abort", "cancel"},    {"add", "submit"},    {"agents", "status"},  {"apply", "submit"},
    {"attach", "watch"},    {"cat", "logs"},      {"check", "validate"}, {"create", "submit"},
    {"dashboard", "page"},  {"delete", "remove"}, {"delete", "purge"},   {"delete", "forget"},
    {"describe", "status"}, {"dry-run", "plan"},  {"exec", "run"},       {"execute", "run"},
    {"follow", "watch"},    {"graphs", "list"},   {"history", "list"},   {"info", "status"},
    {"job", "list"},        {"jobs", "list"},     {"kill", "cancel"},    {"lint", "validate"},
    {"ls", "list"},         {"nodes", "status"},  {"output", "logs"},    {"progress", "watch"},
    {"ps", "status"},       {"remove", "purge"},  {"remove", "forget"},  {"rerun", "retry"},
    {"restart", "retry"},   {"resume", "retry"},  {"rm", "remove"},      {"rm", "purge"},
    {"rm", "forget"},       {"show", "status"},   {"simulate", "plan"},  {"start", "submit"},
    {"stop", "cancel"},     {"tail", "logs"},     {"tasks", "status"},   {"test", "validate"},
    {"top", "status"},      {"ui", "page"},       {"wait", "watch"},     {"web", "page"},
    {"why", "explain"},     {"worker", "status"}, {"workers", "status"},
};

std::vector<absl::string_view> Views(const std::vector<std::string>& words) {
  return {words.begin(), words.end()};
}

std::vector<std::string> Names(const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands) names.push_back(command->get_name());
  return names;
}

// The option that a word names, without its value; null where there is none. Before the name of a
// command of a command, its options are found as well.
const CLI::Option* FindOption(const CLI::App& app, const CLI::App& command,
                              const std::string& word) {
  // Of several short options in one word the first one decides: it may take the rest.
  const bool is_short = absl::StartsWith(word, "-") && !absl::StartsWith(word, "--");
  const std::string name = is_short ? word.substr(0, 2) : word.substr(0, word.find('='));
  const CLI::Option* option = command.get_option_no_throw(name);
  for (const CLI::App* part : Commands(command)) {
    if (option == nullptr && &command != &app) option = part->get_option_no_throw(name);
  }
  return option != nullptr ? option : app.get_option_no_throw(name);
}

// Whether the word after this option is its value.
bool TakesNextWord(const CLI::App& app, const CLI::App& command, const std::string& word) {
  const CLI::Option* option = FindOption(app, command, word);
  return option != nullptr && !absl::StrContains(word, "=") && option->get_items_expected() > 0;
}

// The option that was probably meant: the only one of which the word is the beginning or which is
// the beginning of the word, or else the nearest one. Empty where there is none.
absl::string_view OptionMeant(const std::string& word, const std::vector<std::string>& options) {
  absl::string_view meant;
  int meanings = 0;
  for (const std::string& option : options) {
    if (!absl::StartsWith(option, word) && !absl::StartsWith(word, option)) continue;
    meant = option;
    ++meanings;
  }
  return meanings == 1 && word.size() >= kShortestPrefix ? meant : Nearest(word, Views(options));
}

// How a resource is asked for that is taken for an option; empty where the word is none. `value` is
// the word after it.
std::string ResourceOption(absl::string_view word, absl::string_view value) {
  const std::pair<absl::string_view, absl::string_view> given =
      absl::StrSplit(word, absl::MaxSplits('=', 1));
  if (given.first != "--gpu" && given.first != "--gpus") return "";
  int64_t number = 1;
  if (!absl::SimpleAtoi(given.second, &number) && !absl::SimpleAtoi(value, &number)) number = 1;
  return absl::StrCat("--resource gpu=", number);
}

// What to type instead of a word that is no option of `command`, whose options are these; empty
// where that cannot be told.
std::string Instead(const CLI::App& command, const std::vector<std::string>& words, size_t at,
                    const std::vector<std::string>& options) {
  const std::string name = words[at].substr(0, words[at].find('='));
  const auto has = [&](absl::string_view option) {
    return std::find(options.begin(), options.end(), option) != options.end();
  };
  const std::string next = at + 1 < words.size() ? words[at + 1] : "";
  if (const std::string resource = ResourceOption(words[at], next);
      !resource.empty() && has("--resource")) {
    return absl::StrCat("did you mean \"", resource, "\"?");
  }
  if (command.get_name() == "run" && name == "-c") {
    return "for a shell line: kartograph run sh -c LINE";
  }
  if (command.get_name() == "submit" && (name == "--dry-run" || name == "--dryrun")) {
    return "to see what would happen: kartograph plan FILE; what is wrong: kartograph validate "
           "FILE";
  }
  if (command.get_name() == "status" && (name == "--watch" || name == "--follow")) {
    return "to follow a graph: kartograph watch GRAPH";
  }
  for (const ForeignOption& foreign : kForeignOptions) {
    if (foreign.word == name && has(foreign.ours)) {
      return absl::StrCat("did you mean \"", foreign.ours, "\"", foreign.how, "?");
    }
  }
  absl::string_view meant;
  if (absl::StartsWith(name, "--")) {
    meant = OptionMeant(name, options);
  } else {
    // The only option that begins with its letter.
    const auto begins = [&](const std::string& option) {
      return option.size() > 2 && option[2] == name[1];
    };
    const auto first = std::find_if(options.begin(), options.end(), begins);
    if (std::count_if(options.begin(), options.end(), begins) == 1) meant = *first;
  }
  return meant.empty() ? "" : absl::StrCat("did you mean \"", meant, "\"?");
}

// Whether a word can be nothing but options: "-n", not "-", "-1" or "--".
bool IsOptions(absl::string_view word) {
  return absl::StartsWith(word, "--") || (word.size() > 1 && word[0] == '-' &&
                                          absl::ascii_isalpha(static_cast<unsigned char>(word[1])));
}

}  // namespace

std::vector<const CLI::App*> Commands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string FullName(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name()
                           : absl::StrCat(FullName(*parent), " ", command.get_name());
}

std::vector<std::string> LongOptions(const CLI::App& command) {
  std::vector<std::string> options;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name != "help") options.push_back("--" + name);
    }
  }
  return options;
}

NamedCommand FindCommand(const CLI::App& app, const std::vector<std::string>& words) {
  NamedCommand named{&app};
  for (size_t i = 0; i < words.size(); ++i) {
    if (absl::StartsWith(words[i], "-")) {
      if (TakesNextWord(app, *named.command, words[i])) ++i;
      continue;
    }
    const std::vector<const CLI::App*> commands = Commands(*named.command);
    if (commands.empty()) break;
    const auto found = std::find_if(commands.begin(), commands.end(), [&](const CLI::App* command) {
      return command->get_name() == words[i];
    });
    if (found == commands.end()) {
      named.unknown = words[i];
      named.unknown_at = i;
      break;
    }
    named.command = *found;
  }
  return named;
}

std::string UnknownCommand(const CLI::App& app, const std::string& word) {
  const std::vector<std::string> known = Names(Commands(app));
  const bool is_top = app.get_parent() == nullptr;
  const std::string refusal =
      absl::StrCat(Quoted(word), " is not a command", is_top ? "" : " of " + FullName(app));
  if (is_top && word == "version") return absl::StrCat(refusal, "; did you mean \"--version\"?");
  if (is_top && (word == "server" || word == "serve" || word == "daemon")) {
    return absl::StrCat(refusal, "; the service is a program of its own, kartographd");
  }
  absl::string_view meant;
  for (const ForeignCommand& foreign : kForeignCommands) {
    const bool has_it = std::find(known.begin(), known.end(), foreign.ours) != known.end();
    if (meant.empty() && foreign.word == word && has_it) meant = foreign.ours;
  }
  if (meant.empty()) meant = Nearest(word, Views(known));
  return absl::StrCat(refusal, meant.empty()
                                   ? absl::StrCat("; there are ", absl::StrJoin(known, ", "))
                                   : absl::StrCat("; did you mean \"", meant, "\"?"));
}

std::string UnknownOption(const CLI::App& app, const CLI::App& command,
                          const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    if (!IsOptions(words[i])) continue;
    if (FindOption(app, command, words[i]) != nullptr) {
      if (TakesNextWord(app, command, words[i])) ++i;
      continue;
    }
    std::vector<std::string> options = LongOptions(command);
    if (&command != &app) {
      for (std::string& option : LongOptions(app)) options.push_back(std::move(option));
    }
    options.push_back("--help");
    const std::string name = words[i].substr(0, words[i].find('='));
    const std::string refusal =
        absl::StrCat(Quoted(name), " is not an option of ", FullName(command));
    if (const std::string instead = Instead(command, words, i, options); !instead.empty()) {
      return absl::StrCat(refusal, "; ", instead);
    }
    if (!absl::StartsWith(name, "--")) {
      return absl::StrCat(refusal, "; see \"", FullName(command), " --help\"");
    }
    const auto distance = [&name](const std::string& option) {
      return EditDistance(name, option, static_cast<int>(name.size() + option.size()));
    };
    std::stable_sort(options.begin(), options.end(),
                     [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
    options.resize(std::min(options.size(), kOptionsNamed));
    return absl::StrCat(refusal, "; the nearest are ", absl::StrJoin(options, ", "), "; see \"",
                        FullName(command), " --help\"");
  }
  return "";
}

std::string WrongUse(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands()[0];
  const std::string help = absl::StrCat("; see \"", FullName(*command), " --help\"");
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) == nullptr &&
      !Commands(*command).empty()) {
    return absl::StrCat("give a command", command == &app ? "" : " of " + FullName(*command), ": ",
                        absl::StrJoin(Names(Commands(*command)), ", "));
  }
  const std::vector<std::string> left = app.remaining(/*recurse=*/true);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !left.empty()) {
    // CLI11 keeps them in reverse.
    const std::string name = FullName(*command).substr(app.get_name().size() + 1);
    return absl::StrCat(name, " does not take ", Quoted(left.back()), help);
  }
  return absl::StrCat(ArgumentError(error), help);
}

std::vector<std::string> WithCommandMarked(const CLI::App& app, const CLI::App& run_command,
                                           std::vector<std::string> words) {
  bool run = false;
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    if (absl::StartsWith(words[i], "-")) {
      if (TakesNextWord(app, run_command, words[i])) ++i;
    } else if (run) {
      words.insert(words.begin() + static_cast<ptrdiff_t>(i), "--");
      break;
    } else if (words[i] == run_command.get_name()) {
      run = true;
    } else {
      break;
    }
  }
  return words;
}

CLI::Validator WholeNumber(int64_t least, int64_t most) {
  const auto check = [least, most](const std::string& text) -> std::string {
    int64_t number = 0;
    if (absl::SimpleAtoi(text, &number) && least <= number && number <= most) return "";
    return absl::StrCat(Quoted(text), " is not a whole number from ", least, " to ", most);
  };
  return {check, ""};
}

CLI::Validator Number(int64_t least, int64_t most) {
  const auto check = [least, most](const std::string& text) -> std::string {
    double number = 0;
    if (absl::SimpleAtod(text, &number) && static_cast<double>(least) <= number &&
        number <= static_cast<double>(most)) {
      return "";
    }
    return absl::StrCat(Quoted(text), " is not a number from ", least, " to ", most);
  };
  return {check, ""};
}

CLI::Validator OneOf(std::vector<std::string> words) {
  const auto check = [words = std::move(words)](const std::string& text) -> std::string {
    if (std::find(words.begin(), words.end(), text) != words.end()) return "";
    const absl::string_view meant = Nearest(text, Views(words));
    return absl::StrCat(Quoted(text), " is not one of ", absl::StrJoin(words, ", "),
                        meant.empty() ? "" : absl::StrCat("; did you mean \"", meant, "\"?"));
  };
  return {check, ""};
}

}  // namespace kartograph::cli
