// The words of a command line beside what CLI11 makes of them: which command they name, what is
// wrong with them, and what was probably meant.
#ifndef KARTOGRAPH_CLI_USAGE_H_
#define KARTOGRAPH_CLI_USAGE_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kartograph::cli {

// All of them, whether they were parsed or not.
std::vector<const CLI::App*> Commands(const CLI::App& app);
// As it is typed: "kartograph queue pop".
std::string FullName(const CLI::App& command);
// With their dashes, without --help, which every command has.
std::vector<std::string> LongOptions(const CLI::App& command);

// The command that the words of a command line name, such as `pop` of `queue`.
struct NamedCommand {
  const CLI::App* command;  // as far as it is known; the program itself where none is named
  std::string unknown{};    // the first word that stands in a command's place and is none
  size_t unknown_at = 0;    // its index
};
NamedCommand FindCommand(const CLI::App& app, const std::vector<std::string>& words);

// What to do with a word that is not one of the commands of `app`.
std::string UnknownCommand(const CLI::App& app, const std::string& word);

// What to do with the first option that neither the command nor the program has; empty where all
// are known.
std::string UnknownOption(const CLI::App& app, const CLI::App& command,
                          const std::vector<std::string>& words);

// What is wrong with the arguments, in our words where CLI11's would not do.
std::string WrongUse(const CLI::App& app, const CLI::ParseError& error);

// The words with a "--" before the command of `run`, so that its own options are left alone.
std::vector<std::string> WithCommandMarked(const CLI::App& app, const CLI::App& run_command,
                                           std::vector<std::string> words);

// Refuse other values, with what would be right.
CLI::Validator WholeNumber(int64_t least, int64_t most);
CLI::Validator Number(int64_t least, int64_t most);
CLI::Validator OneOf(std::vector<std::string> words);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_USAGE_H_
