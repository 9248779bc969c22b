#include "cli/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace kartograph::cli {
namespace {

// The handler may run on any of gRPC's threads.
std::atomic<int> interrupted = 0;
static_assert(std::atomic<int>::is_always_lock_free);

void OnInterrupt(int signal) {
  const int saved_errno = errno;
  interrupted = signal;
  std::signal(signal, SIG_DFL);
  errno = saved_errno;
}

absl::string_view Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool SpeaksUtf8() {
  // The first of these that is set decides, as in POSIX.
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const absl::string_view value = Environment(name);
    if (value.empty()) continue;
    const std::string lower = absl::AsciiStrToLower(value);
    return absl::StrContains(lower, "utf-8") || absl::StrContains(lower, "utf8");
  }
  return false;
}

}  // namespace

Terminal DetectTerminal(int descriptor) {
  Terminal terminal;
  terminal.interactive = isatty(descriptor) == 1 && Environment("TERM") != "dumb";
  terminal.color = terminal.interactive && Environment("NO_COLOR").empty();
  terminal.unicode = SpeaksUtf8();
  terminal.width = [descriptor] {
    winsize size{};
    if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
      return static_cast<int>(size.ws_col);
    }
    int columns;
    return absl::SimpleAtoi(Environment("COLUMNS"), &columns) && columns > 0 ? columns : 80;
  };
  terminal.has_reader = [descriptor] {
    pollfd state{descriptor, 0, 0};
    return poll(&state, 1, 0) <= 0 || (state.revents & POLLERR) == 0;
  };
  return terminal;
}

InterruptFlag::InterruptFlag(std::vector<int> signals) : signals_(std::move(signals)) {
  interrupted = 0;
  for (const int signal : signals_) {
    previous_.push_back(std::signal(signal, OnInterrupt));
    // As under nohup.
    if (previous_.back() == SIG_IGN) std::signal(signal, SIG_IGN);
  }
}

InterruptFlag::~InterruptFlag() {
  for (size_t i = 0; i < signals_.size(); ++i) {
    if (previous_[i] != SIG_ERR) std::signal(signals_[i], previous_[i]);
  }
}

int InterruptFlag::signal() const { return interrupted; }

std::string Printable(absl::string_view text) {
  std::string printable;
  printable.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == 0x1B && i + 1 < text.size() && text[i + 1] == '[') {
      // A control sequence goes as a whole, up to its letter.
      i += 2;
      while (i < text.size() && (text[i] < '@' || text[i] > '~')) ++i;
    } else if (c == '\n') {
      printable += ' ';
    } else if (c == '\t' || (c >= 0x20 && c != 0x7F)) {
      printable += text[i];
    }
  }
  return printable;
}

}  // namespace kartograph::cli
