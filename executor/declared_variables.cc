#include "executor/declared_variables.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kartograph::executor {
namespace {

// As a part of a variable's name: "db.x-y" is DB_X_Y.
std::string NameInVariables(planner::Resource resource) {
  std::string name = absl::AsciiStrToUpper(resource.name());
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

const HeldInstances* FindInstances(const Launch& launch, planner::Resource resource) {
  const auto found = std::find_if(launch.instances.begin(), launch.instances.end(),
                                  [&](const auto& held) { return held.resource == resource; });
  return found == launch.instances.end() ? nullptr : &*found;
}

}  // namespace

Variables DeclaredVariables(const Launch& launch) {
  Variables variables;
  for (const planner::ResourceVector* part : {&launch.consumption, &launch.pools}) {
    for (const auto& [resource, quantity] : *part) {
      const bool known =
          resource == planner::Resource::Cpu() || resource == planner::Resource::Ram();
      const HeldInstances* held = FindInstances(launch, resource);
      variables.emplace_back(
          absl::StrCat("KARTOGRAPH_", known ? "" : "RESOURCE_", NameInVariables(resource)),
          held != nullptr ? absl::StrJoin(held->names, ",") : quantity.ToString());
    }
  }
  return variables;
}

Variables DeviceVariables(const Launch& launch) {
  // Never both for the same devices: where AMD's libraries find both, the second one counts among
  // what the first one has left.
  constexpr struct {
    absl::string_view variable;
    absl::string_view resources[4];
  } kVariables[] = {{"CUDA_VISIBLE_DEVICES", {"GPU", "GPUS", "GPU_NVIDIA", "GPUS_NVIDIA"}},
                    {"ROCR_VISIBLE_DEVICES", {"GPU_AMD", "GPUS_AMD", "", ""}}};
  Variables variables;
  for (const auto& [variable, resources] : kVariables) {
    bool indexed = false;
    std::vector<std::string> names;
    for (const HeldInstances& held : launch.instances) {
      const std::string name = NameInVariables(held.resource);
      if (std::find(std::begin(resources), std::end(resources), name) == std::end(resources)) {
        continue;
      }
      indexed = true;
      names.insert(names.end(), held.names.begin(), held.names.end());
    }
    if (indexed) variables.emplace_back(variable, absl::StrJoin(names, ","));
  }
  return variables;
}

}  // namespace kartograph::executor
