// A history that keeps nothing.
#ifndef KARTOGRAPH_STORAGE_NO_HISTORY_H_
#define KARTOGRAPH_STORAGE_NO_HISTORY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/history.h"

namespace kartograph::storage {

// Takes every record and keeps none, so it knows nothing: each payload is empty, and there is no
// graph to read. For the scheduler in a simulation, whose graphs live as long as it does, and to
// measure the scheduler alone. Thread-safe.
class NoHistory : public HistoryWriter, public LongReader {
 public:
  absl::Status Commit(absl::Span<const Record>) override { return absl::OkStatus(); }
  absl::Status CommitUrgent(absl::Span<const Record>) override { return absl::OkStatus(); }
  absl::Status CheckWritable() override { return absl::OkStatus(); }
  absl::Status VisitLive(GraphVisitor&) override { return absl::OkStatus(); }
  absl::Status VisitGraph(planner::GraphId, GraphVisitor&) override { return NotHere(); }
  absl::StatusOr<planner::GraphId> LastGraphId() override { return 0; }
  absl::StatusOr<int64_t> LastDeliveryId() override { return 0; }
  absl::StatusOr<std::optional<Values>> ValuesBefore(planner::TaskKey, int64_t) override {
    return std::nullopt;
  }
  absl::StatusOr<std::vector<std::string>> Payloads(
      absl::Span<const planner::TaskKey> tasks) override {
    return std::vector<std::string>(tasks.size());
  }
  absl::StatusOr<planner::TaskKey> FindTask(planner::GraphId, absl::string_view) override {
    return NotHere();
  }
  absl::StatusOr<bool> HasGraph(planner::GraphId) override { return false; }
  absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view) override {
    return std::nullopt;
  }
  absl::StatusOr<std::vector<Finished>> FinishedOf(absl::string_view, int, int64_t,
                                                   const DeliveryFilter&) override {
    return std::vector<Finished>();
  }
  absl::StatusOr<std::vector<int64_t>> DeliveriesOf(absl::string_view, int) override {
    return std::vector<int64_t>();
  }
  absl::StatusOr<bool> HasDeliveries(planner::GraphId) override { return false; }
  absl::Status AbandonSubmissions() override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<PoolChanged>> PoolsSet() override {
    return std::vector<PoolChanged>();
  }
  absl::StatusOr<absl::Time> LastRetentionTime() override { return absl::InfinitePast(); }
  absl::StatusOr<std::vector<KindLearnt>> Kinds() override { return std::vector<KindLearnt>(); }
  absl::StatusOr<std::vector<planner::GraphId>> FindPrunable(const Keep&, int) override {
    return std::vector<planner::GraphId>();
  }
  absl::StatusOr<std::vector<planner::GraphId>> Prune(absl::Time,
                                                      absl::Span<const planner::GraphId>) override {
    return std::vector<planner::GraphId>();
  }
  absl::StatusOr<bool> RemoveSome(int64_t) override { return false; }
  void BeginSweep() override {}
  void EndSweep() override {}
  absl::Status RemoveUnused(UnusedRows&, int64_t) override { return absl::OkStatus(); }
  absl::StatusOr<UnusedRows> FindUnused() override { return UnusedRows(); }
  absl::StatusOr<int64_t> ForgetRequests(absl::Time, int64_t) override { return 0; }

 private:
  static absl::Status NotHere() { return absl::NotFoundError("nothing is kept here"); }
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_NO_HISTORY_H_
