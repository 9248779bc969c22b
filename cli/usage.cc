#include "cli/usage.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/suggest.h"
#include "cli/file_problems.h"

namespace kartograph::cli {
namespace {

constexpr size_t kOptionsNamed = 5;    // where none is near enough to be meant
constexpr size_t kShortestPrefix = 5;  // of an option's name, with its dashes

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
  const std::string name = word.substr(0, word.find('='));
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
      break;
    }
    named.command = *found;
  }
  return named;
}

std::string UnknownCommand(const CLI::App& app, const std::string& word) {
  const std::vector<std::string> known = Names(Commands(app));
  const absl::string_view meant = word == "ls" ? "list" : Nearest(word, Views(known));
  return absl::StrCat(Quoted(word), " is not a command",
                      app.get_parent() == nullptr ? "" : " of " + FullName(app),
                      meant.empty() ? absl::StrCat("; there are ", absl::StrJoin(known, ", "))
                                    : absl::StrCat("; did you mean \"", meant, "\"?"));
}

std::string UnknownOption(const CLI::App& app, const CLI::App& command,
                          const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    if (!absl::StartsWith(words[i], "--")) continue;
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
    const absl::string_view meant = OptionMeant(name, options);
    if (!meant.empty()) return absl::StrCat(refusal, "; did you mean \"", meant, "\"?");
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
  const std::string what = error.what();
  const std::string help = absl::StrCat("; see \"", FullName(*command), " --help\"");
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    return absl::StrCat(what.substr(0, what.find(':')), " needs a value", help);
  }
  if (!Commands(*command).empty()) {
    return absl::StrCat("give a command", command == &app ? "" : " of " + FullName(*command), ": ",
                        absl::StrJoin(Names(Commands(*command)), ", "));
  }
  const std::vector<std::string> left = app.remaining(/*recurse=*/true);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !left.empty()) {
    // CLI11 keeps them in reverse.
    const std::string name = FullName(*command).substr(app.get_name().size() + 1);
    return absl::StrCat(name, " does not take ", Quoted(left.back()), help);
  }
  return absl::StrCat(what, help);
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
