// Who may call, and what each may do.
#ifndef KARTOGRAPH_SERVICE_ACCESS_USERS_H_
#define KARTOGRAPH_SERVICE_ACCESS_USERS_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace kartograph::service {

// Each may do what those before it may.
enum class Role {
  kReader,  // read everything but other users' variables and inputs
  kUser,    // submit, and change graphs of one's own
  kAdmin,   // change graphs of all users, pools and users
};
absl::string_view ToString(Role role);
std::optional<Role> RoleFromString(absl::string_view word);

// Who calls.
struct Caller {
  std::string user{};  // as graphs are stored with it; empty: the service's own user
  Role role = Role::kReader;
  std::string credential{};  // what sessions of this caller depend on; never empty, no secret
};

// The service's own user, who has the token of the state folder and its socket, and those that were
// added. Of an added user's token only the SHA-256 is kept, in a file that is read at the start and
// by Reload. Thread-safe; Add, Remove and Reload block on the disk.
class Users {
 public:
  static constexpr size_t kMaxUsers = 1000;

  struct Options {
    std::string file{};   // made by the first Add
    std::string owner{};  // the name of the service's own user
    std::string token{};  // of the state folder; empty: the socket alone gives access
    const Clock* clock = &Clock::System();
  };
  // FailedPrecondition, naming the line, where the file is damaged or can be written by others.
  static absl::StatusOr<std::unique_ptr<Users>> Open(Options options);

  Caller Owner() const;
  const std::string& owner_name() const { return options_.owner; }
  // Nothing: nobody has this token. Takes the same time wherever tokens differ.
  std::optional<Caller> Find(absl::string_view token) const;
  // Whether a caller with this credential is still there.
  bool Has(absl::string_view credential) const;

  struct User {
    std::string name;
    Role role = Role::kReader;
    absl::Time created;
  };
  // By name; the service's own user is not among them.
  std::vector<User> List() const;
  // The new user's token, which cannot be read again. InvalidArgument: the name; AlreadyExists;
  // ResourceExhausted: kMaxUsers.
  absl::StatusOr<std::string> Add(absl::string_view name, Role role);
  // The token is refused from now on. NotFound.
  absl::Status Remove(absl::string_view name);
  absl::Status Reload();

 private:
  struct Entry {
    Role role = Role::kReader;
    std::string digest;  // SHA-256 of the token
    absl::Time created;
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  explicit Users(Options options) : options_(std::move(options)) {}
  absl::StatusOr<Entries> Read() const;
  absl::Status Write(const Entries& entries) const;
  void Use(Entries entries) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  Mutex file_mutex_;  // of those that change the file; acquired before the other
  mutable Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::string> names_ ABSL_GUARDED_BY(mutex_);  // by digest
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_ACCESS_USERS_H_
