// How a browser gets in: a code of one use, and the session that it is exchanged for.
#ifndef KARTOGRAPH_SERVICE_ACCESS_PAGE_SESSIONS_H_
#define KARTOGRAPH_SERVICE_ACCESS_PAGE_SESSIONS_H_

#include <cstddef>
#include <deque>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace kartograph::service {

// Sessions are not stored but signed with what is derived from the token: they outlive a restart,
// and all end when the token is replaced. Thread-safe.
class PageSessions {
 public:
  static constexpr absl::Duration kCodeLife = absl::Minutes(5);
  static constexpr size_t kMaxCodes = 64;
  static constexpr absl::Duration kSessionLife = absl::Hours(24 * 7);

  // `clock` outlives this.
  explicit PageSessions(absl::string_view token, const Clock* clock = &Clock::System());

  // A code that opens one session within kCodeLife for whoever has this credential (see Caller).
  // Over kMaxCodes the oldest one is dropped.
  std::string NewCode(absl::string_view credential);

  // A new session's value for the cookie; nothing where the code is unknown, used or too old.
  std::optional<std::string> Redeem(absl::string_view code);

  // The credential that a session was opened for; nothing where this is no session's value, or that
  // of one that has ended.
  std::optional<std::string> CredentialOf(absl::string_view session) const;

  // Of the cookie. Services on one host have different ones: browsers do not tell ports apart.
  const std::string& cookie_name() const { return cookie_name_; }

 private:
  struct Code {
    std::string text;
    std::string credential;
    SteadyTime end;
  };

  const Clock* const clock_;
  const std::string key_;
  const std::string cookie_name_;
  Mutex mutex_;
  std::deque<Code> codes_ ABSL_GUARDED_BY(mutex_);  // oldest first
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_ACCESS_PAGE_SESSIONS_H_
