#include "service/start_line.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::service {

bool StartLine::OnAgent(std::string agent) {
  MutexLock lock(&mutex_);
  if (taken_) return false;
  agent_ = std::move(agent);
  return true;
}

void StartLine::Begin(std::string found, SteadyTime now) {
  MutexLock lock(&mutex_);
  found_ = std::move(found);
  until_ = now + kPatience;
}

std::optional<std::string> StartLine::Take(SteadyTime now) {
  MutexLock lock(&mutex_);
  if (found_.empty() || taken_ || (agent_.empty() && now < until_)) return std::nullopt;
  taken_ = true;
  return absl::StrCat(found_, "; ", agent_.empty() ? "no agent has connected yet" : agent_);
}

}  // namespace kartograph::service
