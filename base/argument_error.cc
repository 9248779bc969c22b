#include "base/argument_error.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace kartograph {

std::string ArgumentError(const CLI::ParseError& error) {
  std::string what = error.what();
  // Most begin with the option's name.
  const absl::string_view name = absl::string_view(what).substr(0, what.find_first_of(": "));
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    if (absl::StrContains(what, "At Most")) {
      return absl::StrCat(name, " is given more than once; give it once");
    }
    if (absl::StrContains(what, "flag override"))
      return absl::StrCat("--", name, " takes no value");
    return absl::StrCat(name, " needs a value");
  }
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    return absl::StrCat(name, " and ", what.substr(what.rfind(' ') + 1),
                        " exclude each other; give one of them");
  }
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    return absl::StrCat(what.substr(what.rfind(": ") + 2), " is not a valid value");
  }
  return what;
}

}  // namespace kartograph
