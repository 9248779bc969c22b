#include "executor/declared_variables.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace kartograph::executor {

std::vector<std::pair<std::string, std::string>> DeclaredVariables(const Launch& launch) {
  std::vector<std::pair<std::string, std::string>> variables;
  for (const planner::ResourceVector* part : {&launch.consumption, &launch.pools}) {
    for (const auto& [resource, quantity] : *part) {
      std::string name = absl::AsciiStrToUpper(resource.name());
      for (char& c : name) {
        if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
      }
      const bool known =
          resource == planner::Resource::Cpu() || resource == planner::Resource::Ram();
      variables.emplace_back(absl::StrCat("KARTOGRAPH_", known ? "" : "RESOURCE_", name),
                             quantity.ToString());
    }
  }
  return variables;
}

}  // namespace kartograph::executor
