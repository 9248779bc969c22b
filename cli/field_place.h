// Where in a graph file stands what the service finds wrong.
#ifndef KARTOGRAPH_CLI_FIELD_PLACE_H_
#define KARTOGRAPH_CLI_FIELD_PLACE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/graph_file.h"

namespace kartograph::cli {

// A field as the contract's problems name it, such as tasks["decode"].consumption["ram"] or
// tasks[3].name, step by step; nothing where it is not one.
std::optional<std::vector<FieldStep>> ParseField(absl::string_view field);

// The same field of the file's own structure, tasks[0].consumption.ram, and its place; that of the
// graph's own keys is not known. Nothing where the file has no such task.
std::optional<FilePlace> FindField(const GraphFile& file, const std::vector<FieldStep>& steps);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_FIELD_PLACE_H_
