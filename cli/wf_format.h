// WfFormat 1.5: the WfCommons project's recorded workflows, read as graphs to replay.
#ifndef KARTOGRAPH_CLI_WF_FORMAT_H_
#define KARTOGRAPH_CLI_WF_FORMAT_H_

#include "cli/file_problems.h"
#include "cli/graph_file.h"
#include "cli/yaml_map.h"

namespace kartograph::cli {

// Whether a document says that it is WfFormat, of whatever version.
bool IsWfFormat(const YamlTree& tree);

// Makes a graph whose tasks have the instance's ids and edges (parents and children together). Each
// consumes one cpu and sleeps as long as it once ran, times options.scale, which is also what it is
// expected to take: what it recorded of
// cores and memory belongs to another cluster and could make it impossible to run here.
void ReadWfFormat(const YamlTree& tree, const GraphFileOptions& options, GraphFile* file,
                  FileProblems* problems);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_WF_FORMAT_H_
