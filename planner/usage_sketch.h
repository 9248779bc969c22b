// Quantiles of what was seen lately, in a few hundred bytes.
#ifndef KARTOGRAPH_PLANNER_USAGE_SKETCH_H_
#define KARTOGRAPH_PLANNER_USAGE_SKETCH_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph::planner {

// A histogram of whole numbers in buckets that grow with the numbers, sixteen to each power of two,
// as HdrHistogram has them: a quantile is that of the numbers seen, off by at most 3.2 % (numbers
// below 16 are exact). Each number weighs 1/128 more than the one before it, so that about the last
// two hundred decide (exponential decay; Cormode, Korn and Tirthapura 2008, "Exponentially decayed
// aggregates on data streams"), and what is far away from the others moves neither the median nor
// the 95th percentile as long as it is rare.
//
// At most kMaxBuckets: those that are next to each other and weigh least together are merged into
// the larger one, which only matters where a kind's numbers are spread over many powers of two.
//
// A value type, without allocation once it has grown. Thread-compatible.
class UsageSketch {
 public:
  static constexpr size_t kMaxBuckets = 48;
  // A quantile is off by at most this part of it.
  static constexpr double kRelativeError = 1.0 / 32;

  void Add(uint64_t value);
  bool empty() const { return buckets_.empty(); }
  // The smallest number that at least this share of what was seen does not exceed, to the bucket;
  // 0 where nothing was seen. `share` is between 0 and 1.
  uint64_t Quantile(double share) const;
  uint64_t Median() const { return Quantile(0.5); }
  // The share of what was seen that is not above this, to the bucket: 0 to 1, 0 where nothing was
  // seen.
  double ShareUpTo(uint64_t value) const;
  // Not less than any of those that still count: the end of the last bucket.
  uint64_t Largest() const;
  size_t buckets() const { return buckets_.size(); }

  // For storing: at most kMaxBytes.
  static constexpr size_t kMaxBytes = 2 + kMaxBuckets * 6;
  void AppendTo(std::string* bytes) const;
  // Takes what AppendTo appended from the front of `bytes`. DataLoss for anything else.
  static absl::StatusOr<UsageSketch> TakeFrom(absl::string_view* bytes);

 private:
  struct Bucket {
    uint16_t number = 0;
    float weight = 0;
  };
  void DropLightest();
  void Rescale();
  double Total() const;

  std::vector<Bucket> buckets_;  // by number; none weighs nothing
  float next_ = 1;               // what the next one weighs
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_USAGE_SKETCH_H_
