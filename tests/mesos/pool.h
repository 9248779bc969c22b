// Mesos's resources as amounts that can be added and compared.
#ifndef KARTOGRAPH_TESTS_MESOS_POOL_H_
#define KARTOGRAPH_TESTS_MESOS_POOL_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "executor/mesos/protocol/mesos.pb.h"

namespace kartograph::stand_in {

// Scalars, in thousandths, each kind by itself: what has another name, is reserved in another way,
// or is revocable is another kind. Which role it is allocated to makes no difference.
class Pool {
 public:
  // As an agent's flag gives them: "cpus:4;mem:1024;cpus(role):2;cpus{REV}:1".
  static absl::StatusOr<Pool> FromText(absl::string_view text);
  // Errors are such as a master has for a task's resources.
  template <typename Resources>
  static absl::StatusOr<Pool> FromMesos(const Resources& resources) {
    Pool pool;
    for (const kartograph::mesos::Resource& resource : resources) {
      if (absl::Status added = pool.AddOne(resource); !added.ok()) return added;
    }
    return pool;
  }

  bool empty() const { return pieces_.empty(); }
  bool Contains(const Pool& other) const;
  void Add(const Pool& other);
  // `other` must be contained.
  void Subtract(const Pool& other);
  // The sum of all kinds of a name, in thousandths.
  int64_t Sum(absl::string_view name) const;
  bool MixesRevocable() const;

  // Those that a framework of this role may have.
  struct Wish {
    std::string role;
    bool revocable = false;
  };
  Pool For(const Wish& wish) const;
  // At most so much of each of these names, in thousandths.
  Pool AtMost(const std::map<std::string, int64_t>& most) const;

  // With an allocation_info of this role, unless it is empty.
  template <typename Resources>
  void AppendTo(Resources* resources, const std::string& role) const {
    for (const Piece& piece : pieces_) {
      kartograph::mesos::Resource* added = resources->Add();
      *added = piece.mesos;
      added->mutable_scalar()->set_value(static_cast<double>(piece.amount) / 1000);
      if (!role.empty()) added->mutable_allocation_info()->set_role(role);
    }
  }
  std::string ToString() const;

 private:
  struct Piece {
    std::string kind;  // all that distinguishes it from others, serialized
    kartograph::mesos::Resource mesos;
    int64_t amount = 0;  // more than 0
  };
  absl::Status AddOne(const kartograph::mesos::Resource& resource);
  void AddPiece(const Piece& piece);
  const Piece* Find(const std::string& kind) const;

  std::vector<Piece> pieces_;
};

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_POOL_H_
