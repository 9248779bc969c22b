#include "executor/mesos/framework/offered_resources.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::executor::mesos {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;

constexpr int64_t kMiB = 1 << 20;

// Whether Mesos counts it in MiB and we in bytes.
bool InMebibytes(absl::string_view mesos_name) {
  return mesos_name == "mem" || mesos_name == "disk";
}

// The resource that Mesos calls by this name; nothing for names that cannot be ours, and without
// `intern` for those not used yet.
std::optional<Resource> OurName(absl::string_view mesos_name, bool intern) {
  if (mesos_name == "cpus") return Resource::Cpu();
  if (mesos_name == "mem") return Resource::Ram();
  // Under our names they would be mistaken for other resources of the agent.
  if (mesos_name == Resource::Cpu().name() || mesos_name == Resource::Ram().name()) {
    return std::nullopt;
  }
  if (!intern) return Resource::Find(mesos_name);
  absl::StatusOr<Resource> resource = Resource::Intern(mesos_name);
  if (!resource.ok()) return std::nullopt;
  return *resource;
}

// Mesos's own precision is a thousandth. What it offers is rounded to that, as Mesos does, so that
// 0.1 is not a little less. What is more than any agent has, such as where an operator mistook MiB
// for bytes, counts as Quantity::Max().
std::optional<Quantity> Offered(absl::string_view name, double value) {
  if (!(value > 0) || std::isinf(value)) return std::nullopt;  // not-a-number among it
  const int64_t unit = InMebibytes(name) ? kMiB : 1;
  const int64_t most = Quantity::Max().milli() / unit;
  if (value * 1000 >= static_cast<double>(most)) return Quantity::Max();
  return Quantity::FromMilli(std::llround(value * 1000) * unit);
}

// Rounded up to Mesos's precision: a task gets what it was promised.
double Mesos(absl::string_view name, Quantity quantity) {
  int64_t milli = quantity.milli();
  if (InMebibytes(name)) milli = (milli + kMiB - 1) / kMiB;
  return static_cast<double>(milli) / 1000.0;
}

}  // namespace

kartograph::mesos::Resource MesosResource(Resource resource, Quantity quantity) {
  kartograph::mesos::Resource made;
  absl::string_view name = resource.name();
  if (resource == Resource::Cpu()) name = "cpus";
  if (resource == Resource::Ram()) name = "mem";
  made.set_name(std::string(name));
  made.set_type(kartograph::mesos::Value::SCALAR);
  made.mutable_scalar()->set_value(Mesos(name, quantity));
  return made;
}

void OfferedResources::AddOne(const kartograph::mesos::Resource& resource) {
  if (resource.type() != kartograph::mesos::Value::SCALAR || resource.has_disk() ||
      resource.has_shared()) {
    return;
  }
  if (resource.has_revocable() && revocable_ == Revocable::kIgnored) return;
  const std::optional<Quantity> quantity = Offered(resource.name(), resource.scalar().value());
  if (!quantity) return;
  const std::optional<Resource> name = OurName(resource.name(), true);
  if (!name) return;
  Piece piece{*name, *quantity, resource};
  piece.mesos.clear_scalar();
  const auto at = std::find_if(pieces_.begin(), pieces_.end(), [&](const Piece& other) {
    return (resource.reservations_size() > 0) > (other.mesos.reservations_size() > 0);
  });
  pieces_.insert(at, std::move(piece));
  ResourceVector& total = resource.has_revocable() ? revocable_total_ : firm_total_;
  total.Set(*name, std::min(total.Get(*name) + *quantity, Quantity::Max()));
  CountAvailable(*name);
}

void OfferedResources::CountAvailable(Resource resource) {
  Quantity left;
  for (const Piece& piece : pieces_) {
    if (piece.resource == resource && piece.mesos.has_revocable() == UsesRevocable(resource)) {
      left += piece.left;
    }
  }
  available_.Set(resource, std::min(left, Quantity::Max()));
}

bool OfferedResources::GoWith(
    const google::protobuf::RepeatedPtrField<kartograph::mesos::Resource>& executors_own) const {
  for (const kartograph::mesos::Resource& own : executors_own) {
    const std::optional<Resource> name = OurName(own.name(), false);
    if (!name) continue;
    const bool offered =
        !firm_total_.Get(*name).is_zero() || !revocable_total_.Get(*name).is_zero();
    if (offered && own.has_revocable() != UsesRevocable(*name)) return false;
  }
  return true;
}

absl::StatusOr<std::vector<kartograph::mesos::Resource>> OfferedResources::Take(
    const planner::ResourceVector& wanted) {
  if (!wanted.FitsIn(available_)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the offer has ", available_.ToString(), ", not ", wanted.ToString()));
  }
  std::vector<kartograph::mesos::Resource> taken;
  for (const auto& [resource, quantity] : wanted) {
    const bool revocable = UsesRevocable(resource);
    Quantity missing = quantity;
    for (Piece& piece : pieces_) {
      if (piece.resource != resource || piece.mesos.has_revocable() != revocable) continue;
      if (missing.is_zero()) break;
      Quantity part = std::min(missing, piece.left);
      if (part.is_zero()) continue;
      missing -= part;
      kartograph::mesos::Resource& used = taken.emplace_back(piece.mesos);
      used.mutable_scalar()->set_value(Mesos(used.name(), part));
      // Rounding up takes the rest of the thousandth with it.
      if (InMebibytes(used.name())) {
        part = std::min(piece.left, Quantity::FromMilli((part.milli() + kMiB - 1) / kMiB * kMiB));
      }
      piece.left -= part;
    }
    CountAvailable(resource);
  }
  return taken;
}

}  // namespace kartograph::executor::mesos
