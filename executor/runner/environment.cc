#include "executor/runner/environment.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kartograph::executor {
namespace {

constexpr absl::string_view kOwnPrefix = "KARTOGRAPH_";
// With these a task finds its service as the service's own user does (cli/connection.h).
constexpr absl::string_view kForClients[] = {"KARTOGRAPH_SERVER",     "KARTOGRAPH_STATE_FOLDER",
                                             "KARTOGRAPH_TOKEN_FILE", "KARTOGRAPH_TLS_CA",
                                             "KARTOGRAPH_TLS_CERT",   "KARTOGRAPH_TLS_KEY"};
// systemd.exec(5), "Environment Variables Set or Propagated by the Service Manager".
constexpr absl::string_view kOfUnit[] = {"CREDENTIALS_DIRECTORY",
                                         "INVOCATION_ID",
                                         "JOURNAL_STREAM",
                                         "LISTEN_FDNAMES",
                                         "LISTEN_FDS",
                                         "LISTEN_PID",
                                         "MAINPID",
                                         "MEMORY_PRESSURE_WATCH",
                                         "MEMORY_PRESSURE_WRITE",
                                         "NOTIFY_SOCKET",
                                         "SYSTEMD_EXEC_PID",
                                         "WATCHDOG_PID",
                                         "WATCHDOG_USEC"};

absl::string_view NameOf(absl::string_view entry) { return entry.substr(0, entry.find('=')); }

}  // namespace

std::vector<std::string> InheritedEnvironment(char* const* environment) {
  std::vector<std::string> inherited;
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const absl::string_view name = NameOf(*environment);
    const auto is_in = [name](const auto& names) {
      return std::find(std::begin(names), std::end(names), name) != std::end(names);
    };
    if ((absl::StartsWith(name, kOwnPrefix) && !is_in(kForClients)) || is_in(kOfUnit)) continue;
    inherited.emplace_back(*environment);
  }
  const auto add = [&inherited](absl::string_view name, absl::string_view value) {
    for (const std::string& entry : inherited) {
      if (NameOf(entry) == name) return;
    }
    inherited.push_back(absl::StrCat(name, "=", value));
  };
  add("PATH", kDefaultPath);
  struct passwd user;
  struct passwd* found = nullptr;
  std::vector<char> text(64 << 10);
  if (getpwuid_r(geteuid(), &user, text.data(), text.size(), &found) == 0 && found != nullptr) {
    add("HOME", user.pw_dir);
    add("USER", user.pw_name);
    add("LOGNAME", user.pw_name);
  }
  return inherited;
}

Environment::Environment(std::vector<std::string> base) {
  for (std::string& entry : base) {
    const absl::string_view name = NameOf(entry);
    if (name.empty() || name.size() == entry.size()) continue;
    if (index_.emplace(std::string(name), base_.size()).second) base_.push_back(std::move(entry));
  }
}

void Environment::Build(const Variables& variables, EnvironmentBlock* block) const {
  // Must not move: it is pointed to.
  block->own.clear();
  block->own.reserve(variables.size());
  std::vector<char*>& pointers = block->pointers;
  pointers.clear();
  for (const std::string& entry : base_) pointers.push_back(const_cast<char*>(entry.data()));
  absl::flat_hash_map<absl::string_view, size_t> added;
  for (const auto& [name, value] : variables) {
    block->own.push_back(absl::StrCat(name, "=", value));
    char* entry = block->own.back().data();
    if (auto it = index_.find(name); it != index_.end()) {
      pointers[it->second] = entry;
    } else if (auto [known, is_new] = added.emplace(name, pointers.size()); is_new) {
      pointers.push_back(entry);
    } else {
      pointers[known->second] = entry;
    }
  }
  pointers.push_back(nullptr);
}

absl::string_view Environment::Get(absl::string_view name) const {
  auto it = index_.find(name);
  if (it == index_.end()) return {};
  return absl::string_view(base_[it->second]).substr(name.size() + 1);
}

}  // namespace kartograph::executor
