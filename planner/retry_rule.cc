#include "planner/retry_rule.h"

#include <signal.h>
#include <string.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kartograph::planner {
namespace {

constexpr int kLastExit = 255;
constexpr int kLastSignal = 64;

std::string SignalName(int signal) {
  const char* const name = sigabbrev_np(signal);
  return absl::StrCat("SIG", name == nullptr ? absl::StrCat(signal) : std::string(name));
}

// 0 where there is none of this name.
int SignalOf(absl::string_view name) {
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    if (SignalName(signal) == name) return signal;
  }
  return 0;
}

}  // namespace

absl::Status FailureSet::Add(absl::string_view word) {
  if (word == "timeout") {
    timeout_ = true;
    return absl::OkStatus();
  }
  if (word == "out_of_memory") {
    out_of_memory_ = true;
    return absl::OkStatus();
  }
  if (word == "signal") {
    signals_ = ~uint64_t{0};
    return absl::OkStatus();
  }
  if (const int signal = SignalOf(word); signal > 0) {
    signals_ |= uint64_t{1} << (signal - 1);
    return absl::OkStatus();
  }
  int first = 1;
  int last = kLastExit;
  if (word != "exit") {
    const std::pair<absl::string_view, absl::string_view> ends =
        absl::StrSplit(word, absl::MaxSplits('-', 1));
    const bool is_range = word.find('-') != absl::string_view::npos;
    const bool is_number = absl::SimpleAtoi(ends.first, &first) &&
                           absl::SimpleAtoi(is_range ? ends.second : ends.first, &last);
    if (!is_number || first < 1 || first > last || last > kLastExit) {
      return absl::InvalidArgumentError(
          "must be an exit status (1 to 255, such as 75 or 64-78), a signal such as SIGKILL, or "
          "one of exit, signal, timeout, out_of_memory");
    }
  }
  for (int status = first; status <= last; ++status) {
    exits_[status / 64] |= uint64_t{1} << (status % 64);
  }
  return absl::OkStatus();
}

bool FailureSet::Contains(Outcome outcome, int exit_status, int signal) const {
  switch (outcome) {
    case Outcome::kExited:
      return exit_status >= 1 && exit_status <= kLastExit && HasExit(exit_status);
    case Outcome::kSignalled:
      return signal >= 1 && signal <= kLastSignal && (signals_ >> (signal - 1) & 1) != 0;
    case Outcome::kTimedOut:
      return timeout_;
    case Outcome::kOutOfMemory:
      return out_of_memory_;
    default:
      return false;
  }
}

std::vector<std::string> FailureSet::Words() const {
  std::vector<std::string> words;
  for (int first = 1; first <= kLastExit; ++first) {
    if (!HasExit(first)) continue;
    int last = first;
    while (last < kLastExit && HasExit(last + 1)) ++last;
    if (first == 1 && last == kLastExit) {
      words.push_back("exit");
    } else {
      words.push_back(first == last ? absl::StrCat(first) : absl::StrCat(first, "-", last));
    }
    first = last;
  }
  if (signals_ == ~uint64_t{0}) {
    words.push_back("signal");
  } else {
    for (int signal = 1; signal <= kLastSignal; ++signal) {
      if ((signals_ >> (signal - 1) & 1) != 0) words.push_back(SignalName(signal));
    }
  }
  if (timeout_) words.push_back("timeout");
  if (out_of_memory_) words.push_back("out_of_memory");
  return words;
}

}  // namespace kartograph::planner
