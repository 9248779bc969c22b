// Quantities of resources: exact, small, and the same type in every part of the service.
#ifndef KARTOGRAPH_PLANNER_RESOURCES_H_
#define KARTOGRAPH_PLANNER_RESOURCES_H_

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph::planner {

// A number of units in fixed point: thousandths in 64 bits, so that sums are exact. Three decimals
// are also what Mesos guarantees. A value type; arithmetic does not check for overflow, but
// FromUnits admits only what is far from it.
class Quantity {
 public:
  constexpr Quantity() = default;
  static constexpr Quantity FromMilli(int64_t milli) { return Quantity(milli); }
  static constexpr Quantity Of(int64_t units) { return Quantity(units * 1000); }
  // Rounds what is finer than a thousandth up, so that nothing is under-declared. InvalidArgument
  // for a negative, infinite or not-a-number quantity and for one over 10^15.
  static absl::StatusOr<Quantity> FromUnits(double units);

  constexpr int64_t milli() const { return milli_; }
  double units() const { return static_cast<double>(milli_) / 1000.0; }
  constexpr bool is_zero() const { return milli_ == 0; }
  // Shortest decimal: "4", "0.5".
  std::string ToString() const;

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity operator+(Quantity other) const { return Quantity(milli_ + other.milli_); }
  constexpr Quantity operator-(Quantity other) const { return Quantity(milli_ - other.milli_); }
  Quantity& operator+=(Quantity other) {
    milli_ += other.milli_;
    return *this;
  }
  Quantity& operator-=(Quantity other) {
    milli_ -= other.milli_;
    return *this;
  }

 private:
  explicit constexpr Quantity(int64_t milli) : milli_(milli) {}
  int64_t milli_ = 0;
};

// A resource's name, interned: comparing two costs as much as comparing two integers. The table of
// names is one for the process, thread-safe, and never shrinks.
class Resource {
 public:
  // The resource of this name, which is added to the table if it is new. InvalidArgument for a name
  // that is not 1 to 64 letters, digits, '_', '-', '.' starting with a letter; ResourceExhausted
  // beyond 4,096 names.
  static absl::StatusOr<Resource> Intern(absl::string_view name);
  // For names known to be good, as in tests; dies otherwise.
  static Resource Named(absl::string_view name);
  static constexpr Resource Cpu() { return Resource(0); }
  static constexpr Resource Ram() { return Resource(1); }

  // Lives as long as the process.
  absl::string_view name() const;
  constexpr uint16_t id() const { return id_; }
  constexpr auto operator<=>(const Resource&) const = default;

 private:
  explicit constexpr Resource(uint16_t id) : id_(id) {}
  uint16_t id_;
};

// Resources and their quantities; what is not in it is zero. Sorted by Resource, zeros left out.
class ResourceVector {
 public:
  struct Entry {
    Resource resource;
    Quantity quantity;
    bool operator==(const Entry&) const = default;
  };
  using Entries = absl::InlinedVector<Entry, 3>;

  ResourceVector() = default;
  ResourceVector(std::initializer_list<Entry> entries);

  Quantity Get(Resource resource) const;
  // Removes the resource where the quantity is zero.
  void Set(Resource resource, Quantity quantity);
  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  Entries::const_iterator begin() const { return entries_.begin(); }
  Entries::const_iterator end() const { return entries_.end(); }

  ResourceVector& operator+=(const ResourceVector& other);
  // May leave negative quantities: what is over-committed shows.
  ResourceVector& operator-=(const ResourceVector& other);
  bool operator==(const ResourceVector&) const = default;

  // Whether everything in here is also in `available`.
  bool FitsIn(const ResourceVector& available) const;
  bool HasNegative() const;

  // "cpu=1 ram=512MiB db_connections=1", in order of interning; for logs and messages.
  std::string ToString() const;

  template <typename H>
  friend H AbslHashValue(H h, const ResourceVector& v) {
    for (const Entry& entry : v.entries_) {
      h = H::combine(std::move(h), entry.resource.id(), entry.quantity.milli());
    }
    return h;
  }

 private:
  Entries entries_;
};

// "512MiB", "1.5GiB", "1000": bytes in the largest binary unit that is exact to three decimals.
std::string FormatBytes(Quantity bytes);
// A number with an optional unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB), or InvalidArgument that
// names the units.
absl::StatusOr<Quantity> ParseQuantity(absl::string_view text);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_RESOURCES_H_
