// What CLI11 says of a command line, in our words.
#ifndef KARTOGRAPH_BASE_ARGUMENT_ERROR_H_
#define KARTOGRAPH_BASE_ARGUMENT_ERROR_H_

#include <CLI/CLI.hpp>
#include <string>

namespace kartograph {

// What is wrong with the arguments, without a full stop: "--limit is given more than once; give it
// once".
std::string ArgumentError(const CLI::ParseError& error);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_ARGUMENT_ERROR_H_
