#include "executor/runner/environment.h"

#include <cstddef>

#include "absl/strings/str_cat.h"

namespace kartograph::executor {
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
