// Brings return values that are too large for an update from the executors of their attempts.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_VALUE_FETCHER_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_VALUE_FETCHER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/mesos/protocol/framework_message.pb.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

// Each value is asked for in parts, the next when one has come, and again where none comes, as
// messages may be lost. An executor that does not answer several times is given up.
//
// It knows no connection: whoever has one sends what TakeRequests gives, and passes on what comes
// to Receive. Thread-compatible.
class ValueFetcher {
 public:
  struct Options {
    size_t max_at_once = 8;  // others wait for their turn
    absl::Duration ask_again = absl::Seconds(5);
    int max_asked = 3;                      // for one part
    const Clock* clock = &Clock::System();  // outlives this
  };
  explicit ValueFetcher(Options options) : options_(options) {}

  // Where the attempt ran.
  struct Place {
    std::string agent;  // by Mesos's id
    std::string executor;
    bool operator==(const Place&) const = default;
  };
  // `bytes` is how many it has, at most 64 MiB.
  void Add(planner::AttemptId attempt, Place place, int64_t bytes);
  // It is not wanted any more.
  void Remove(planner::AttemptId attempt);
  bool Contains(planner::AttemptId attempt) const { return values_.contains(attempt); }

  // What does not come from its place, or was not asked for, is ignored.
  void Receive(const Place& from, const kartograph::mesos::ValuePart& part);
  // The executor has ended.
  void OnEnded(const Place& place);

  // Values that are here, or will not come: NotFound where the executor has none, Unavailable where
  // there was no answer. Each once; they are dropped.
  struct Done {
    planner::AttemptId attempt;
    absl::StatusOr<std::string> value;
  };
  std::vector<Done> TakeDone() { return std::exchange(done_, {}); }

  struct Request {
    Place to;
    kartograph::mesos::ValueRequest request;
  };
  // What to send now.
  std::vector<Request> TakeRequests();
  // When TakeRequests has something, or TakeDone has because of it.
  SteadyTime NextRequest() const;

 private:
  struct Value {
    Place place;
    int64_t bytes = 0;
    std::string data;
    SteadyTime ask_at = SteadyTime::InfinitePast();
    int asked = 0;  // for the next part
  };
  void End(planner::AttemptId attempt, absl::StatusOr<std::string> value);

  const Options options_;
  absl::flat_hash_map<planner::AttemptId, Value> values_;
  std::deque<planner::AttemptId> order_;  // as they came; the first ones are being fetched
  std::vector<Done> done_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_VALUE_FETCHER_H_
