// Reading YAML.
#ifndef KARTOGRAPH_YAML_YAML_READER_H_
#define KARTOGRAPH_YAML_YAML_READER_H_

#include <optional>

#include "yaml/tree_builder.h"
#include "yaml/yaml_tree.h"

namespace kartograph::yaml {

// Reads the first document in the text of `builder` as YAML 1.1 and adds its nodes. A problem where
// it is not YAML.
std::optional<Problem> ReadYaml(TreeBuilder* builder);

}  // namespace kartograph::yaml

#endif  // KARTOGRAPH_YAML_YAML_READER_H_
