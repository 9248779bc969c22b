// Reading JSON.
#ifndef KARTOGRAPH_YAML_JSON_READER_H_
#define KARTOGRAPH_YAML_JSON_READER_H_

#include <optional>

#include "yaml/tree_builder.h"
#include "yaml/yaml_tree.h"

namespace kartograph::yaml {

// Reads the text of `builder` as one document of JSON (RFC 8259) and adds its nodes: the same as
// those of YAML, numbers, true and false as plain scalars. A problem where it is not JSON.
std::optional<Problem> ReadJson(TreeBuilder* builder);

}  // namespace kartograph::yaml

#endif  // KARTOGRAPH_YAML_JSON_READER_H_
