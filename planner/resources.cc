#include "planner/resources.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/byte_size.h"
#include "planner/names.h"

namespace kartograph::planner {
namespace {

constexpr double kMaxUnits = 1e15;
static_assert(Quantity::Max() == Quantity::Of(static_cast<int64_t>(kMaxUnits)));

class NameTable {
 public:
  static NameTable& Get() {
    static NameTable* const table = new NameTable();
    return *table;
  }

  std::optional<uint16_t> Find(absl::string_view name) {
    std::shared_lock lock(mutex_);
    auto it = ids_.find(name);
    if (it == ids_.end()) return std::nullopt;
    return it->second;
  }

  absl::StatusOr<uint16_t> Intern(absl::string_view name) {
    if (std::optional<uint16_t> kept = FindKept(name)) return *kept;
    std::lock_guard lock(mutex_);
    absl::StatusOr<uint16_t> id = FindOrAdd(name);
    if (id.ok()) names_[*id].kept = true;
    return id;
  }

  // Sets `held` where the name is not kept; whoever gets it so returns it with Release.
  absl::StatusOr<uint16_t> Hold(absl::string_view name, bool* held) {
    *held = false;
    if (std::optional<uint16_t> kept = FindKept(name)) return *kept;
    std::lock_guard lock(mutex_);
    absl::StatusOr<uint16_t> id = FindOrAdd(name);
    if (!id.ok() || names_[*id].kept) return id;
    *held = true;
    ++names_[*id].holders;
    return id;
  }

  void Release(uint16_t id) {
    std::lock_guard lock(mutex_);
    Name& name = names_[id];
    if (--name.holders > 0 || name.kept) return;
    ids_.erase(name.text);
    free_.push_back(id);
  }

  bool IsKept(uint16_t id) {
    std::shared_lock lock(mutex_);
    return names_[id].kept;
  }

  void Keep(uint16_t id) {
    std::lock_guard lock(mutex_);
    names_[id].kept = true;
  }

  absl::string_view Text(uint16_t id) {
    std::shared_lock lock(mutex_);
    return names_[id].text;
  }

  size_t Count() {
    std::shared_lock lock(mutex_);
    return ids_.size();
  }

 private:
  struct Name {
    std::string text;
    uint32_t holders = 0;
    bool kept = false;
  };

  NameTable() {
    for (absl::string_view name : {"cpu", "ram"}) Intern(name).IgnoreError();
  }

  std::optional<uint16_t> FindKept(absl::string_view name) {
    std::shared_lock lock(mutex_);
    auto it = ids_.find(name);
    if (it == ids_.end() || !names_[it->second].kept) return std::nullopt;
    return it->second;
  }

  // With the lock held.
  absl::StatusOr<uint16_t> FindOrAdd(absl::string_view name) {
    if (auto it = ids_.find(name); it != ids_.end()) return it->second;
    if (const std::string problem = ResourceNameProblem(name); !problem.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("\"", name.substr(0, 80), "\" ", problem));
    }
    if (ids_.size() >= Resource::kMaxNames) {
      return absl::ResourceExhaustedError(
          absl::StrCat(Resource::kMaxNames, " different resource names are in use already"));
    }
    uint16_t id = static_cast<uint16_t>(names_.size());
    if (free_.empty()) {
      names_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    names_[id] = {std::string(name), 0, false};
    ids_.emplace(name, id);
    return id;
  }

  std::shared_mutex mutex_;  // guards what follows
  std::deque<Name> names_;   // by id; a deque keeps them in place
  std::vector<uint16_t> free_;
  absl::flat_hash_map<std::string, uint16_t> ids_;
};

}  // namespace

absl::StatusOr<Quantity> Quantity::FromUnits(double units) {
  if (std::isnan(units)) return absl::InvalidArgumentError("is not a number; give one from 0 on");
  if (units < 0) return absl::InvalidArgumentError("is negative; give a number from 0 on");
  if (units > kMaxUnits) return absl::InvalidArgumentError("is over 10^15; give a smaller number");
  // 0.1 * 1000 is a little over 100 in binary: what is within a millionth of a thousandth is meant
  // exactly.
  return FromMilli(static_cast<int64_t>(std::ceil(units * 1000 - 1e-6)));
}

absl::StatusOr<Quantity> Quantity::FromOutside(int64_t milli) {
  if (milli < 0) return absl::InvalidArgumentError("is negative; give a number from 0 on");
  if (milli > Max().milli()) {
    return absl::InvalidArgumentError("is over 10^15; give a smaller number");
  }
  return FromMilli(milli);
}

std::string Quantity::ToString() const { return FormatThousandths(milli_); }

absl::StatusOr<Resource> Resource::Intern(absl::string_view name) {
  absl::StatusOr<uint16_t> id = NameTable::Get().Intern(name);
  if (!id.ok()) return id.status();
  return Resource(*id);
}

Resource Resource::Named(absl::string_view name) {
  absl::StatusOr<Resource> resource = Intern(name);
  if (!resource.ok()) std::abort();
  return *resource;
}

std::optional<Resource> Resource::Find(absl::string_view name) {
  const std::optional<uint16_t> id = NameTable::Get().Find(name);
  if (!id) return std::nullopt;
  return Resource(*id);
}

size_t Resource::Count() { return NameTable::Get().Count(); }

absl::string_view Resource::name() const { return NameTable::Get().Text(id_); }

ResourceNames::~ResourceNames() {
  for (Resource resource : held_) NameTable::Get().Release(resource.id());
}

absl::StatusOr<Resource> ResourceNames::Intern(absl::string_view name) {
  bool held = false;
  absl::StatusOr<uint16_t> id = NameTable::Get().Hold(name, &held);
  if (!id.ok()) return id.status();
  const Resource resource(*id);
  const bool is_new = std::find(seen_.begin(), seen_.end(), resource) == seen_.end();
  if (held && !is_new && std::find(held_.begin(), held_.end(), resource) != held_.end()) {
    NameTable::Get().Release(*id);  // once is enough
    return resource;
  }
  if (is_new && seen_.size() >= kMaxNames) {
    if (held) NameTable::Get().Release(*id);
    return absl::ResourceExhaustedError(absl::StrCat(
        "is one resource too many: a graph can ask for ", kMaxNames, " different ones"));
  }
  if (is_new) seen_.push_back(resource);
  if (held) held_.push_back(resource);
  return resource;
}

void ResourceNames::Keep(const ResourceVector& accepted) {
  for (const ResourceVector::Entry& entry : accepted) {
    if (!NameTable::Get().IsKept(entry.resource.id())) NameTable::Get().Keep(entry.resource.id());
  }
}

void ResourceNames::KeepAll() {
  for (Resource resource : held_) NameTable::Get().Keep(resource.id());
}

ResourceVector::ResourceVector(std::initializer_list<Entry> entries) {
  for (const Entry& entry : entries) Set(entry.resource, entry.quantity);
}

Quantity ResourceVector::Get(Resource resource) const {
  for (const Entry& entry : entries_) {
    if (entry.resource == resource) return entry.quantity;
  }
  return Quantity();
}

void ResourceVector::Set(Resource resource, Quantity quantity) {
  auto it = std::lower_bound(entries_.begin(), entries_.end(), resource,
                             [](const Entry& e, Resource r) { return e.resource < r; });
  const bool there = it != entries_.end() && it->resource == resource;
  if (quantity.is_zero()) {
    if (there) entries_.erase(it);
  } else if (there) {
    it->quantity = quantity;
  } else {
    entries_.insert(it, Entry{resource, quantity});
  }
}

ResourceVector& ResourceVector::operator+=(const ResourceVector& other) {
  for (const Entry& entry : other) Set(entry.resource, Get(entry.resource) + entry.quantity);
  return *this;
}

ResourceVector& ResourceVector::operator-=(const ResourceVector& other) {
  for (const Entry& entry : other) Set(entry.resource, Get(entry.resource) - entry.quantity);
  return *this;
}

bool ResourceVector::FitsIn(const ResourceVector& available) const {
  for (const Entry& entry : entries_) {
    if (entry.quantity > available.Get(entry.resource)) return false;
  }
  return true;
}

bool ResourceVector::HasNegative() const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [](const Entry& e) { return e.quantity < Quantity(); });
}

std::string ResourceVector::ToString() const {
  std::string text;
  for (const Entry& entry : entries_) {
    absl::StrAppend(&text, text.empty() ? "" : " ", entry.resource.name(), "=",
                    entry.resource == Resource::Ram() ? FormatBytes(entry.quantity)
                                                      : entry.quantity.ToString());
  }
  return text;
}

std::string FormatBytes(Quantity bytes) { return FormatBytesExactly(bytes.milli()); }

namespace {

// What somebody means who writes "4G" or "4gb"; empty where nobody knows.
std::string LikelyUnits(absl::string_view unit) {
  std::vector<std::string> likely;
  for (absl::string_view known :
       absl::StrSplit(kByteUnits, absl::ByAnyChar(", "), absl::SkipEmpty())) {
    if (known == "and") continue;
    const bool short_form = unit.size() == 1 && known.size() > 1 &&
                            absl::ascii_toupper(static_cast<unsigned char>(unit[0])) ==
                                absl::ascii_toupper(static_cast<unsigned char>(known[0]));
    // As in Kubernetes: 512Mi.
    const bool without_b =
        absl::EqualsIgnoreCase(absl::StrCat(unit, "B"), known) && absl::EndsWith(known, "iB");
    if (short_form || without_b || absl::EqualsIgnoreCase(unit, known)) likely.emplace_back(known);
  }
  return absl::StrJoin(likely, " or ");
}

}  // namespace

absl::StatusOr<Quantity> ParseQuantity(absl::string_view text, absl::string_view resource) {
  text = absl::StripAsciiWhitespace(text);
  size_t end = text.find_first_not_of("+-.0123456789eE");
  // "5EB" would otherwise lose its E to the number.
  if (end != absl::string_view::npos) {
    while (end > 0 && absl::ascii_isalpha(text[end - 1])) --end;
  }
  const absl::string_view number = text.substr(0, end);
  const absl::string_view unit =
      end == absl::string_view::npos ? "" : absl::StripLeadingAsciiWhitespace(text.substr(end));
  double units = 0;
  if (number.empty() || !absl::SimpleAtod(number, &units)) {
    return absl::InvalidArgumentError(
        resource == "cpu" ? "is not a valid number of cores; use one such as 4 or 0.5"
                          : "is not a valid quantity; use a number such as 2, 0.5 or 512MiB");
  }
  if (unit.empty()) return Quantity::FromUnits(units);
  const std::optional<int64_t> bytes = BytesOfUnit(unit);
  if (resource == "cpu") {
    if (bytes.has_value()) {
      return absl::InvalidArgumentError("has a unit of bytes; cpu is a number of cores");
    }
    // As in Kubernetes.
    const absl::StatusOr<Quantity> cores = Quantity::FromUnits(units / 1000);
    return absl::InvalidArgumentError(absl::StrCat(
        "has a unit, but cpu is a number of cores",
        unit == "m" && cores.ok() ? absl::StrCat("; did you mean ", cores->ToString(), "?") : ""));
  }
  if (!bytes.has_value()) {
    const std::string meant = LikelyUnits(unit);
    return absl::InvalidArgumentError(
        absl::StrCat("has an unknown unit \"", unit.substr(0, 40), "\"; ",
                     meant.empty() ? absl::StrCat("known units are ", kByteUnits)
                                   : absl::StrCat("did you mean ", meant, "?")));
  }
  return Quantity::FromUnits(units * static_cast<double>(*bytes));
}

}  // namespace kartograph::planner
