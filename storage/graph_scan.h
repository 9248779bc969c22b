// Reads a whole graph in order, as a restart does.
#ifndef KARTOGRAPH_STORAGE_GRAPH_SCAN_H_
#define KARTOGRAPH_STORAGE_GRAPH_SCAN_H_

#include "absl/status/status.h"
#include "storage/history.h"
#include "storage/row_decoder.h"
#include "storage/sqlite.h"

namespace kartograph::storage {

// LongReader::VisitGraph, within a transaction of the caller or none.
absl::Status ScanGraph(Connection& connection, RowDecoder& decoder, planner::GraphId graph,
                       GraphVisitor& visitor);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_GRAPH_SCAN_H_
