// Quantities of resources: exact, small, and the same type in every part of the service.
#ifndef KARTOGRAPH_PLANNER_RESOURCES_H_
#define KARTOGRAPH_PLANNER_RESOURCES_H_

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph::planner {

// A number of units in fixed point: thousandths in 64 bits, so that sums are exact. Three decimals
// are also what Mesos guarantees. A value type. What comes from outside is at most Max(), so a sum
// of up to nine of them is exact; a larger one stays at the end of the 64 bits instead of changing
// its sign.
class Quantity {
 public:
  constexpr Quantity() = default;
  static constexpr Quantity FromMilli(int64_t milli) { return Quantity(milli); }
  // The most that anybody can have or ask for of one resource: 10^15 units, of ram a petabyte.
  static constexpr Quantity Max() { return Of(1'000'000'000'000'000); }
  static constexpr Quantity Of(int64_t units) { return Quantity(units * 1000); }
  // Thousandths that were stored or sent. InvalidArgument for less than 0 and more than Max().
  static absl::StatusOr<Quantity> FromOutside(int64_t milli);
  // Rounds what is finer than a thousandth up, so that nothing is under-declared. InvalidArgument
  // for a negative, infinite or not-a-number quantity and for one over Max().
  static absl::StatusOr<Quantity> FromUnits(double units);

  constexpr int64_t milli() const { return milli_; }
  double units() const { return static_cast<double>(milli_) / 1000.0; }
  constexpr bool is_zero() const { return milli_ == 0; }
  // Shortest decimal: "4", "0.5".
  std::string ToString() const;

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity operator+(Quantity other) const {
    int64_t sum = 0;
    if (!__builtin_add_overflow(milli_, other.milli_, &sum)) return Quantity(sum);
    return Quantity(other.milli_ < 0 ? INT64_MIN : INT64_MAX);
  }
  constexpr Quantity operator-(Quantity other) const {
    int64_t difference = 0;
    if (!__builtin_sub_overflow(milli_, other.milli_, &difference)) return Quantity(difference);
    return Quantity(other.milli_ < 0 ? INT64_MAX : INT64_MIN);
  }
  Quantity& operator+=(Quantity other) { return *this = *this + other; }
  Quantity& operator-=(Quantity other) { return *this = *this - other; }

 private:
  explicit constexpr Quantity(int64_t milli) : milli_(milli) {}
  int64_t milli_ = 0;
};

// A resource's name, interned: comparing two costs as much as comparing two integers. The table of
// names is one for the process and thread-safe.
class Resource {
 public:
  static constexpr size_t kMaxNames = 1 << 16;  // in the table at once, cpu and ram among them

  // The resource of this name, which is added to the table for good if it is new: for names that
  // were accepted, or come from where no client can fill the table (see ResourceNames for the
  // others). InvalidArgument for a name that is not 1 to 64 letters, digits, '_', '-', '.' starting
  // with a letter; ResourceExhausted beyond kMaxNames.
  static absl::StatusOr<Resource> Intern(absl::string_view name);
  // The resource of this name, if it is in the table.
  static std::optional<Resource> Find(absl::string_view name);
  // How many names the table holds.
  static size_t Count();
  // For names known to be good, as in tests; dies otherwise.
  static Resource Named(absl::string_view name);
  static constexpr Resource Cpu() { return Resource(0); }
  static constexpr Resource Ram() { return Resource(1); }

  // Lives as long as the name is in the table.
  absl::string_view name() const;
  constexpr uint16_t id() const { return id_; }
  constexpr auto operator<=>(const Resource&) const = default;

 private:
  friend class ResourceNames;
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

// The names in one request, until it is accepted or refused. A name that was new to the table
// leaves it again with the last of these that holds it, unless it was kept meanwhile: what is
// refused takes no place. Thread-compatible.
class ResourceNames {
 public:
  // A graph asks for at most this many different resources, so that one client cannot fill the
  // table.
  static constexpr size_t kMaxNames = 64;

  ResourceNames() = default;
  ~ResourceNames();
  ResourceNames(const ResourceNames&) = delete;
  ResourceNames& operator=(const ResourceNames&) = delete;

  // As Resource::Intern; the resource is there as long as this is. ResourceExhausted beyond
  // kMaxNames, too.
  absl::StatusOr<Resource> Intern(absl::string_view name);
  // Whatever is in `accepted` stays in the table for good; whoever holds it does so until then.
  static void Keep(const ResourceVector& accepted);
  // All that were interned here.
  void KeepAll();

 private:
  absl::InlinedVector<Resource, 4> seen_;  // each once, in the order of their first use
  absl::InlinedVector<Resource, 4> held_;  // those of them that were not kept when they were seen
};

// "512MiB", "1.5GiB", "1000": bytes in the largest binary unit that is exact to three decimals.
std::string FormatBytes(Quantity bytes);
// A number with an optional unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB), which only `resource`
// "cpu" does not take. InvalidArgument says what would be valid and leaves it to the caller to say
// what was given.
absl::StatusOr<Quantity> ParseQuantity(absl::string_view text, absl::string_view resource = "");

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_RESOURCES_H_
