// A limit on what all calls hold together.
#ifndef KARTOGRAPH_SERVICE_SHARED_LIMIT_H_
#define KARTOGRAPH_SERVICE_SHARED_LIMIT_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kartograph::service {

// Counts what calls hold together, such as streams or bytes. Thread-safe; outlives its claims.
class SharedLimit {
 public:
  explicit SharedLimit(int64_t limit) : limit_(limit) {}
  SharedLimit(const SharedLimit&) = delete;
  SharedLimit& operator=(const SharedLimit&) = delete;

  int64_t limit() const { return limit_; }
  // Before anything is claimed.
  void SetLimit(int64_t limit) { limit_ = limit; }
  int64_t used() const { return used_; }

  // What one call holds; gives it back when it goes. Thread-compatible.
  class Claim {
   public:
    Claim() = default;
    ~Claim() { Release(); }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

    // Holds this much more of `of`, which is the same in all calls. False, and nothing is claimed,
    // where that would be over the limit.
    bool Add(SharedLimit& of, int64_t amount) {
      if (of.used_.fetch_add(amount) + amount > of.limit_) {
        of.used_ -= amount;
        return false;
      }
      of_ = &of;
      held_ += amount;
      return true;
    }
    void Release() {
      if (of_ != nullptr) of_->used_ -= held_;
      held_ = 0;
      of_ = nullptr;
    }

   private:
    SharedLimit* of_ = nullptr;
    int64_t held_ = 0;
  };

 private:
  int64_t limit_;
  std::atomic<int64_t> used_{0};
};

// ResourceExhausted.
inline absl::Status TooManyStreams(const SharedLimit& streams) {
  return absl::ResourceExhaustedError(
      absl::StrCat(streams.limit(),
                   " streams are open already; end one of them, or raise kartographd "
                   "--max-streams"));
}

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_SHARED_LIMIT_H_
