#include "service/access/page_sessions.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/access/secret.h"

namespace kartograph::service {
namespace {

constexpr size_t kCodeBytes = 32;
constexpr size_t kSessionBytes = 16;

}  // namespace

PageSessions::PageSessions(absl::string_view token, const Clock* clock)
    : clock_(clock),
      key_(HmacHex(token, "page session")),
      cookie_name_(absl::StrCat("kartograph-", HmacHex(token, "page cookie").substr(0, 8))) {}

std::string PageSessions::NewCode(absl::string_view credential) {
  std::string code = RandomHex(kCodeBytes);
  MutexLock lock(&mutex_);
  if (codes_.size() == kMaxCodes) codes_.pop_front();
  codes_.push_back({code, std::string(credential), clock_->SteadyNow() + kCodeLife});
  return code;
}

std::optional<std::string> PageSessions::Redeem(absl::string_view code) {
  std::string credential;
  {
    MutexLock lock(&mutex_);
    const SteadyTime now = clock_->SteadyNow();
    while (!codes_.empty() && codes_.front().end <= now) codes_.pop_front();
    const auto found = std::find_if(codes_.begin(), codes_.end(), [&](const Code& known) {
      return SameSecret(known.text, code);
    });
    if (found == codes_.end()) return std::nullopt;
    credential = std::move(found->credential);
    codes_.erase(found);
  }
  std::string session = absl::StrCat(absl::ToUnixSeconds(clock_->WallNow() + kSessionLife), ".",
                                     credential, ".", RandomHex(kSessionBytes));
  absl::StrAppend(&session, ".", HmacHex(key_, session));
  return session;
}

std::optional<std::string> PageSessions::CredentialOf(absl::string_view session) const {
  const size_t dot = session.rfind('.');
  if (dot == absl::string_view::npos) return std::nullopt;
  const absl::string_view said = session.substr(0, dot);
  if (!SameSecret(HmacHex(key_, said), session.substr(dot + 1))) return std::nullopt;
  const std::vector<absl::string_view> parts = absl::StrSplit(said, '.');
  int64_t end = 0;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &end) ||
      clock_->WallNow() >= absl::FromUnixSeconds(end)) {
    return std::nullopt;
  }
  return std::string(parts[1]);
}

}  // namespace kartograph::service
