#include "tests/mesos/pool.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace kartograph::stand_in {

using kartograph::mesos::Resource;

absl::StatusOr<Pool> Pool::FromText(absl::string_view text) {
  Pool pool;
  for (absl::string_view part : absl::StrSplit(text, ';', absl::SkipWhitespace())) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(part, absl::MaxSplits(':', 1));
    absl::string_view name = absl::StripAsciiWhitespace(halves.first);
    Resource resource;
    if (absl::ConsumeSuffix(&name, "{REV}")) resource.mutable_revocable();
    if (const size_t bracket = name.find('('); bracket != name.npos && absl::EndsWith(name, ")")) {
      Resource::ReservationInfo* reservation = resource.add_reservations();
      reservation->set_type(Resource::ReservationInfo::STATIC);
      reservation->set_role(std::string(name.substr(bracket + 1, name.size() - bracket - 2)));
      name = name.substr(0, bracket);
    }
    double value = 0;
    if (name.empty() || !absl::SimpleAtod(halves.second, &value)) {
      return absl::InvalidArgumentError(absl::StrCat("no resource: \"", part, "\""));
    }
    resource.set_name(std::string(name));
    resource.set_type(mesos::Value::SCALAR);
    resource.mutable_scalar()->set_value(value);
    if (absl::Status added = pool.AddOne(resource); !added.ok()) return added;
  }
  return pool;
}

absl::Status Pool::AddOne(const Resource& resource) {
  if (!resource.has_name() || resource.name().empty()) {
    return absl::InvalidArgumentError("Empty resource name");
  }
  if (!resource.has_type() || resource.type() != mesos::Value::SCALAR) {
    return absl::InvalidArgumentError(
        absl::StrCat("Unsupported resource type of ", resource.name()));
  }
  if (!resource.has_scalar() || resource.has_ranges() || resource.has_set()) {
    return absl::InvalidArgumentError(absl::StrCat("Invalid scalar resource ", resource.name()));
  }
  const double value = resource.scalar().value();
  if (!(value >= 0) || std::isinf(value)) {
    return absl::InvalidArgumentError(
        absl::StrCat("Invalid scalar resource ", resource.name(), ": value ", value));
  }
  Piece piece;
  piece.amount = std::llround(value * 1000);
  if (piece.amount == 0) return absl::InvalidArgumentError("Invalid scalar resource: value 0");
  piece.mesos = resource;
  piece.mesos.clear_scalar();
  piece.mesos.clear_allocation_info();
  piece.kind = piece.mesos.SerializeAsString();
  AddPiece(piece);
  return absl::OkStatus();
}

const Pool::Piece* Pool::Find(const std::string& kind) const {
  for (const Piece& piece : pieces_) {
    if (piece.kind == kind) return &piece;
  }
  return nullptr;
}

void Pool::AddPiece(const Piece& piece) {
  if (const Piece* found = Find(piece.kind)) {
    const_cast<Piece*>(found)->amount += piece.amount;
  } else {
    pieces_.push_back(piece);
  }
}

void Pool::Add(const Pool& other) {
  for (const Piece& piece : other.pieces_) AddPiece(piece);
}

bool Pool::Contains(const Pool& other) const {
  return std::all_of(other.pieces_.begin(), other.pieces_.end(), [this](const Piece& piece) {
    const Piece* found = Find(piece.kind);
    return found != nullptr && found->amount >= piece.amount;
  });
}

void Pool::Subtract(const Pool& other) {
  for (const Piece& piece : other.pieces_) {
    const auto found = std::find_if(pieces_.begin(), pieces_.end(),
                                    [&](const Piece& ours) { return ours.kind == piece.kind; });
    if (found == pieces_.end()) continue;
    found->amount -= piece.amount;
    if (found->amount <= 0) pieces_.erase(found);
  }
}

int64_t Pool::Sum(absl::string_view name) const {
  int64_t sum = 0;
  for (const Piece& piece : pieces_) {
    if (piece.mesos.name() == name) sum += piece.amount;
  }
  return sum;
}

bool Pool::MixesRevocable() const {
  for (const Piece& piece : pieces_) {
    for (const Piece& other : pieces_) {
      if (piece.mesos.name() == other.mesos.name() &&
          piece.mesos.has_revocable() != other.mesos.has_revocable()) {
        return true;
      }
    }
  }
  return false;
}

Pool Pool::For(const Wish& wish) const {
  Pool pool;
  for (const Piece& piece : pieces_) {
    const int depth = piece.mesos.reservations_size();
    if (depth > 0 && piece.mesos.reservations(depth - 1).role() != wish.role) continue;
    if (piece.mesos.has_revocable() && !wish.revocable) continue;
    pool.pieces_.push_back(piece);
  }
  return pool;
}

Pool Pool::AtMost(const std::map<std::string, int64_t>& most) const {
  Pool pool;
  std::map<std::string, int64_t> left = most;
  for (Piece piece : pieces_) {
    if (const auto found = left.find(piece.mesos.name()); found != left.end()) {
      piece.amount = std::min(piece.amount, std::max<int64_t>(found->second, 0));
      found->second -= piece.amount;
    }
    if (piece.amount > 0) pool.pieces_.push_back(piece);
  }
  return pool;
}

std::string Pool::ToString() const {
  return absl::StrJoin(pieces_, "; ", [](std::string* out, const Piece& piece) {
    absl::StrAppend(out, piece.mesos.name(), piece.mesos.has_revocable() ? "{REV}" : "");
    if (const int depth = piece.mesos.reservations_size(); depth > 0) {
      absl::StrAppend(out, "(", piece.mesos.reservations(depth - 1).role(), ")");
    }
    absl::StrAppend(out, ":", static_cast<double>(piece.amount) / 1000);
  });
}

}  // namespace kartograph::stand_in
