// What waits for a client.
#ifndef KARTOGRAPH_STORAGE_FINISHED_QUEUE_H_
#define KARTOGRAPH_STORAGE_FINISHED_QUEUE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/history.h"
#include "storage/row_decoder.h"
#include "storage/sqlite.h"

namespace kartograph::storage {

// In the column of resets, for the end of a graph.
inline constexpr int64_t kGraphEnd = -1;

// LongReader::FinishedOf. A delivery has the end it was queued for, also when the task was run
// again since.
absl::StatusOr<std::vector<Finished>> ReadFinished(Connection& connection, RowDecoder& decoder,
                                                   absl::string_view client_queue, int max_tasks,
                                                   int64_t max_bytes, const DeliveryFilter& filter);
// LongReader::DeliveriesOf and HasDeliveries, HistoryReader::ListQueues.
absl::StatusOr<std::vector<int64_t>> ReadDeliveries(Connection& connection,
                                                    absl::string_view client_queue,
                                                    int max_deliveries);
absl::StatusOr<bool> FindDelivery(Connection& connection, planner::GraphId graph);
absl::StatusOr<std::vector<QueueRow>> ReadQueues(Connection& connection, absl::string_view after,
                                                 int limit);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_FINISHED_QUEUE_H_
