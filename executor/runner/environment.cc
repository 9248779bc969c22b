#include "executor/runner/environment.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kartograph::executor {
namespace {

constexpr int64_t kRememberNs = 1'000'000'000;
constexpr size_t kMaxRemembered = 1000;

}  // namespace

Environment::Environment(char* const* base) {
  for (; base != nullptr && *base != nullptr; ++base) {
    absl::string_view entry = *base;
    size_t equals = entry.find('=');
    if (equals == absl::string_view::npos || equals == 0) continue;
    if (index_.emplace(std::string(entry.substr(0, equals)), base_.size()).second) {
      base_.emplace_back(entry);
    }
  }
}

void Environment::Build(const Variables& variables, EnvironmentBlock* block) const {
  // Not to be moved: it is pointed to.
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

int ProgramFinder::Find(absl::string_view name, absl::string_view path, absl::string_view directory,
                        int64_t now_ns, std::string* program) {
  std::string key = absl::StrCat(name, absl::string_view("\0", 1), path);
  if (auto it = cache_.find(key); it != cache_.end()) {
    if (now_ns - it->second.found_ns < kRememberNs) {
      *program = it->second.program;
      return 0;
    }
    cache_.erase(it);
  }
  int error = ENOENT;
  bool remember = true;
  for (absl::string_view folder : absl::StrSplit(path, ':')) {
    std::string candidate;
    if (folder.empty() || folder[0] != '/') {
      remember = false;  // depends on the directory
      candidate = absl::StrCat(directory, "/", folder, folder.empty() ? "" : "/", name);
    } else {
      candidate = absl::StrCat(folder, "/", name);
    }
    struct stat info;
    if (stat(candidate.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (access(candidate.c_str(), X_OK) != 0) {
      error = EACCES;
      continue;
    }
    *program = candidate;
    if (remember) {
      if (cache_.size() >= kMaxRemembered) cache_.clear();
      cache_[key] = {std::move(candidate), now_ns};
    }
    return 0;
  }
  return error;
}

}  // namespace kartograph::executor
