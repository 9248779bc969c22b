// A graph file as a graph to be simulated: what its tasks consume, and how long they take.
#ifndef KARTOGRAPH_CLI_PLAN_GRAPH_H_
#define KARTOGRAPH_CLI_PLAN_GRAPH_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "cli/graph_file.h"
#include "forecast/simulate.h"
#include "planner/resources.h"

namespace kartograph::cli {

// How long tasks of one graph have taken so far, by kind.
class LearntDurations {
 public:
  // `kind` is of a graph of this name.
  void Add(const v1::KindUsage& kind);
  // The median of this kind; where its consumption has not run, of the kind of the same names that
  // ran last. Nothing where none has.
  std::optional<absl::Duration> Of(absl::string_view task_name,
                                   const planner::ResourceVector& consumption) const;
  bool empty() const { return latest_.empty(); }

 private:
  struct Kind {
    absl::Time last_run;
    absl::Duration median;
  };
  absl::flat_hash_map<std::string, absl::Duration> exact_;  // by pattern and consumption
  absl::flat_hash_map<std::string, Kind> latest_;           // by pattern
};

struct PlanGraph {
  forecast::Graph graph;
  int64_t learnt = 0;   // tasks that take as long as such tasks did
  int64_t unknown = 0;  // tasks that take `assumed`, as nothing is known of them
  absl::Duration assumed;
};

// What all tasks take where nothing is known of any.
inline constexpr absl::Duration kAssumedDuration = absl::Minutes(1);

// A task takes what was learnt, otherwise what the file says, otherwise as long as the others on
// average. The scheduler is told what a service would know: what the file says, otherwise what was
// learnt.
absl::StatusOr<PlanGraph> MakePlanGraph(const GraphFile& file, const LearntDurations& learnt);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_PLAN_GRAPH_H_
