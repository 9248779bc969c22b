#include "service/access/users.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/sha256.h"
#include "base/small_file.h"
#include "planner/names.h"
#include "service/access/secret.h"

namespace kartograph::service {
namespace {

constexpr size_t kTokenBytes = 32;
constexpr size_t kCredentialLength = 16;  // of the digest: enough to tell users apart
constexpr char kOwnCredential[] = "own";
constexpr absl::string_view kRoles[] = {"reader", "user", "admin"};  // by Role
constexpr char kHeading[] =
    "# Users of this service: name, role, SHA-256 of the token, Unix time when it was made.\n";

std::string DigestOf(absl::string_view token) {
  Sha256 digest;
  digest.Add(token);
  return digest.Hex();
}

}  // namespace

absl::string_view ToString(Role role) { return kRoles[static_cast<int>(role)]; }

std::optional<Role> RoleFromString(absl::string_view word) {
  const auto* const found = std::find(std::begin(kRoles), std::end(kRoles), word);
  if (found == std::end(kRoles)) return std::nullopt;
  return static_cast<Role>(found - std::begin(kRoles));
}

absl::StatusOr<std::unique_ptr<Users>> Users::Open(Options options) {
  std::unique_ptr<Users> users(new Users(std::move(options)));
  if (absl::Status status = users->Reload(); !status.ok()) return status;
  return users;
}

Caller Users::Owner() const { return {.role = Role::kAdmin, .credential = kOwnCredential}; }

std::optional<Caller> Users::Find(absl::string_view token) const {
  if (!options_.token.empty() && SameSecret(token, options_.token)) return Owner();
  // Who tries tokens learns from the time how much of a digest is right, and nothing of the token.
  const std::string digest = DigestOf(token);
  MutexLock lock(&mutex_);
  const auto name = names_.find(digest);
  if (name == names_.end()) return std::nullopt;
  return Caller{.user = name->second,
                .role = entries_.find(name->second)->second.role,
                .credential = digest.substr(0, kCredentialLength)};
}

bool Users::Has(absl::string_view credential) const {
  if (credential == kOwnCredential) return true;
  MutexLock lock(&mutex_);
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) {
    return absl::string_view(entry.second.digest).substr(0, kCredentialLength) == credential;
  });
}

std::vector<Users::User> Users::List() const {
  std::vector<User> users;
  MutexLock lock(&mutex_);
  for (const auto& [name, entry] : entries_) users.push_back({name, entry.role, entry.created});
  return users;
}

absl::StatusOr<std::string> Users::Add(absl::string_view name, Role role) {
  if (const std::string problem = planner::UserNameProblem(name); !problem.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" ", problem));
  }
  if (name == options_.owner) {
    return absl::AlreadyExistsError(absl::StrCat(
        name, " is the service's own user, who needs no other token: choose another name"));
  }
  MutexLock file_lock(&file_mutex_);
  absl::StatusOr<Entries> entries = Read();
  if (!entries.ok()) return entries.status();
  if (entries->contains(name)) {
    return absl::AlreadyExistsError(absl::StrCat(
        "there is a user ", name, " already; for a new token or role remove that user first"));
  }
  if (entries->size() == kMaxUsers) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", kMaxUsers, " users, which is the limit; remove some first"));
  }
  std::string token = RandomHex(kTokenBytes);
  entries->emplace(name, Entry{role, DigestOf(token), options_.clock->WallNow()});
  if (absl::Status status = Write(*entries); !status.ok()) return status;
  MutexLock lock(&mutex_);
  Use(*std::move(entries));
  return token;
}

absl::Status Users::Remove(absl::string_view name) {
  MutexLock file_lock(&file_mutex_);
  absl::StatusOr<Entries> entries = Read();
  if (!entries.ok()) return entries.status();
  const auto found = entries->find(name);
  if (found == entries->end()) {
    return absl::NotFoundError(
        name == options_.owner
            ? absl::StrCat(name, " is the service's own user and cannot be removed")
            : absl::StrCat("there is no user \"", name, "\""));
  }
  entries->erase(found);
  if (absl::Status status = Write(*entries); !status.ok()) return status;
  MutexLock lock(&mutex_);
  Use(*std::move(entries));
  return absl::OkStatus();
}

absl::Status Users::Reload() {
  MutexLock file_lock(&file_mutex_);
  absl::StatusOr<Entries> entries = Read();
  if (!entries.ok()) return entries.status();
  MutexLock lock(&mutex_);
  Use(*std::move(entries));
  return absl::OkStatus();
}

absl::StatusOr<Users::Entries> Users::Read() const {
  Entries entries;
  std::set<std::string, std::less<>> digests;
  struct stat info;
  if (options_.file.empty() || stat(options_.file.c_str(), &info) != 0) return entries;
  if (info.st_uid != geteuid() || (info.st_mode & 022) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(options_.file,
                     " can be changed by others, who could give themselves access: check what it "
                     "says, then chown it to the service's user and chmod 600"));
  }
  const absl::StatusOr<std::string> text = ReadFile(options_.file);
  if (!text.ok()) return text.status();
  int line = 0;
  for (absl::string_view row : absl::StrSplit(*text, '\n')) {
    ++line;
    row = absl::StripAsciiWhitespace(row);
    if (row.empty() || row[0] == '#') continue;
    const std::vector<absl::string_view> words = absl::StrSplit(row, ' ', absl::SkipEmpty());
    std::optional<Role> role;
    if (words.size() == 4) role = RoleFromString(words[1]);
    int64_t created = 0;
    if (!role || !planner::UserNameProblem(words[0]).empty() || words[0] == options_.owner ||
        !IsSha256(words[2]) || !absl::SimpleAtoi(words[3], &created) ||
        !entries
             .emplace(words[0], Entry{*role, std::string(words[2]), absl::FromUnixSeconds(created)})
             .second ||
        !digests.emplace(words[2]).second || entries.size() > kMaxUsers) {
      return absl::FailedPreconditionError(absl::StrCat(
          options_.file, ", line ", line,
          ": must be a name, a role (reader, user or admin), the SHA-256 of a token and a Unix "
          "time, each name and each token once, and none of the service's own user: remove the "
          "line, and add its user again"));
    }
  }
  return entries;
}

absl::Status Users::Write(const Entries& entries) const {
  std::string text = kHeading;
  for (const auto& [name, entry] : entries) {
    absl::StrAppend(&text, name, " ", ToString(entry.role), " ", entry.digest, " ",
                    absl::ToUnixSeconds(entry.created), "\n");
  }
  return ReplaceFile(options_.file, text, 0600);
}

void Users::Use(Entries entries) {
  entries_ = std::move(entries);
  names_.clear();
  for (const auto& [name, entry] : entries_) names_.emplace(entry.digest, name);
}

}  // namespace kartograph::service
