#include "service/access/page_sessions.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
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

std::string PageSessions::NewCode() {
  std::string code = RandomHex(kCodeBytes);
  MutexLock lock(&mutex_);
  if (codes_.size() == kMaxCodes) codes_.pop_front();
  codes_.push_back({code, clock_->SteadyNow() + kCodeLife});
  return code;
}

std::optional<std::string> PageSessions::Redeem(absl::string_view code) {
  {
    MutexLock lock(&mutex_);
    const SteadyTime now = clock_->SteadyNow();
    while (!codes_.empty() && codes_.front().end <= now) codes_.pop_front();
    const auto found = std::find_if(codes_.begin(), codes_.end(), [&](const Code& known) {
      return SameSecret(known.text, code);
    });
    if (found == codes_.end()) return std::nullopt;
    codes_.erase(found);
  }
  std::string session = absl::StrCat(absl::ToUnixSeconds(clock_->WallNow() + kSessionLife), ".",
                                     RandomHex(kSessionBytes));
  absl::StrAppend(&session, ".", HmacHex(key_, session));
  return session;
}

bool PageSessions::IsOpen(absl::string_view session) const {
  const size_t dot = session.rfind('.');
  if (dot == absl::string_view::npos) return false;
  const absl::string_view said = session.substr(0, dot);
  if (!SameSecret(HmacHex(key_, said), session.substr(dot + 1))) return false;
  int64_t end = 0;
  return absl::SimpleAtoi(said.substr(0, said.find('.')), &end) &&
         clock_->WallNow() < absl::FromUnixSeconds(end);
}

}  // namespace kartograph::service
