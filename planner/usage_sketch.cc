#include "planner/usage_sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "absl/status/status.h"

namespace kartograph::planner {
namespace {

constexpr int kBits = 4;  // of a number after its highest one, that its bucket is told by
constexpr uint64_t kExact = uint64_t{1} << kBits;
constexpr int kNumbers = (64 - kBits + 1) << kBits;
constexpr float kGrowth = 1 + 1.0F / 128;
// Weights are divided by the next one's before they lose precision.
constexpr float kLargestWeight = 1 << 20;
// What weighs less than this part of a new one does not count any more.
constexpr float kForgotten = 1e-4F;

uint16_t BucketOf(uint64_t value) {
  if (value < kExact) return static_cast<uint16_t>(value);
  const int shift = std::bit_width(value) - 1 - kBits;
  return static_cast<uint16_t>(((shift + 1) << kBits) +
                               static_cast<int>((value >> shift) - kExact));
}

uint64_t FirstOf(uint16_t bucket) {
  if (bucket < kExact) return bucket;
  const int shift = (bucket >> kBits) - 1;
  return (kExact + (bucket & (kExact - 1))) << shift;
}

// Of the last bucket this is the largest number there is.
uint64_t LastOf(uint16_t bucket) {
  return bucket + 1 >= kNumbers ? UINT64_MAX : FirstOf(static_cast<uint16_t>(bucket + 1)) - 1;
}

uint64_t MiddleOf(uint16_t bucket) {
  return FirstOf(bucket) + (LastOf(bucket) - FirstOf(bucket)) / 2;
}

template <typename T>
void AppendBytes(T value, std::string* bytes) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  bytes->append(raw, sizeof(T));
}

template <typename T>
T BytesAt(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

static_assert(std::endian::native == std::endian::little, "sketches are stored as they are");

}  // namespace

void UsageSketch::Add(uint64_t value) {
  const uint16_t number = BucketOf(value);
  auto at = std::lower_bound(buckets_.begin(), buckets_.end(), number,
                             [](const Bucket& b, uint16_t n) { return b.number < n; });
  if (at != buckets_.end() && at->number == number) {
    at->weight += next_;
  } else {
    buckets_.insert(at, {number, next_});
    if (buckets_.size() > kMaxBuckets) DropLightest();
  }
  next_ *= kGrowth;
  if (next_ > kLargestWeight) Rescale();
}

void UsageSketch::Rescale() {
  for (Bucket& bucket : buckets_) bucket.weight /= next_;
  next_ = 1;
  std::erase_if(buckets_, [](const Bucket& bucket) { return bucket.weight < kForgotten; });
}

void UsageSketch::DropLightest() {
  size_t lightest = 0;
  for (size_t i = 1; i + 1 < buckets_.size(); ++i) {
    if (buckets_[i].weight + buckets_[i + 1].weight <
        buckets_[lightest].weight + buckets_[lightest + 1].weight) {
      lightest = i;
    }
  }
  buckets_[lightest + 1].weight += buckets_[lightest].weight;
  buckets_.erase(buckets_.begin() + static_cast<ptrdiff_t>(lightest));
}

double UsageSketch::Total() const {
  double total = 0;
  for (const Bucket& bucket : buckets_) total += static_cast<double>(bucket.weight);
  return total;
}

double UsageSketch::ShareUpTo(uint64_t value) const {
  if (buckets_.empty()) return 0;
  double seen = 0;
  for (const Bucket& bucket : buckets_) {
    if (MiddleOf(bucket.number) > value) break;
    seen += static_cast<double>(bucket.weight);
  }
  return seen / Total();
}

uint64_t UsageSketch::Quantile(double share) const {
  if (buckets_.empty()) return 0;
  // Weights are rounded: what lies on the edge belongs to the bucket before it.
  const double wanted = std::clamp(share, 0.0, 1.0) * Total() * (1 - 1e-6);
  double seen = 0;
  for (const Bucket& bucket : buckets_) {
    seen += static_cast<double>(bucket.weight);
    if (seen >= wanted) return MiddleOf(bucket.number);
  }
  return MiddleOf(buckets_.back().number);
}

uint64_t UsageSketch::Largest() const {
  return buckets_.empty() ? 0 : LastOf(buckets_.back().number);
}

void UsageSketch::AppendTo(std::string* bytes) const {
  AppendBytes(static_cast<uint16_t>(buckets_.size()), bytes);
  for (const Bucket& bucket : buckets_) {
    AppendBytes(bucket.number, bytes);
    // As of a next one that weighs 1.
    AppendBytes(bucket.weight / next_, bytes);
  }
}

absl::StatusOr<UsageSketch> UsageSketch::TakeFrom(absl::string_view* bytes) {
  const absl::Status damaged = absl::DataLossError("what is stored of past runs is damaged");
  if (bytes->size() < sizeof(uint16_t)) return damaged;
  const size_t count = BytesAt<uint16_t>(bytes->data());
  bytes->remove_prefix(sizeof(uint16_t));
  constexpr size_t kEach = sizeof(uint16_t) + sizeof(float);
  if (count > kMaxBuckets || bytes->size() < count * kEach) return damaged;
  UsageSketch sketch;
  for (size_t i = 0; i < count; ++i) {
    const Bucket bucket = {BytesAt<uint16_t>(bytes->data()),
                           BytesAt<float>(bytes->data() + sizeof(uint16_t))};
    bytes->remove_prefix(kEach);
    const bool in_order = i == 0 || bucket.number > sketch.buckets_.back().number;
    const bool sensible = std::isfinite(bucket.weight) && bucket.weight > 0 && bucket.weight < 1e9F;
    if (!in_order || !sensible || bucket.number >= kNumbers) return damaged;
    sketch.buckets_.push_back(bucket);
  }
  return sketch;
}

}  // namespace kartograph::planner
