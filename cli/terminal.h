// What a person sits at, or a pipe.
#ifndef KARTOGRAPH_CLI_TERMINAL_H_
#define KARTOGRAPH_CLI_TERMINAL_H_

#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace kartograph::cli {

struct Terminal {
  bool interactive = false;  // lines can be redrawn
  bool color = false;
  bool unicode = false;
  // Columns, asked for again for every line, so that a resized window is respected.
  std::function<int()> width = [] { return 80; };
  // Whether what is written can still be read: not so once the other end of a pipe is closed.
  std::function<bool()> has_reader = [] { return true; };
};

// Of file descriptor 1 or 2. Colours only on a terminal and without NO_COLOR; a terminal called
// "dumb" counts as a pipe.
Terminal DetectTerminal(int descriptor);

// From construction on, the first Ctrl-C, or other of `signals`, sets a flag instead of ending the
// process; the second one ends it as usual. Destruction restores what was. One at a time.
class InterruptFlag {
 public:
  explicit InterruptFlag(std::vector<int> signals = {SIGINT});
  ~InterruptFlag();
  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;

  bool raised() const { return signal() != 0; }
  // Which; 0: none.
  int signal() const;

 private:
  const std::vector<int> signals_;
  std::vector<void (*)(int)> previous_;
};

// `text` without control characters (a log's colours, a name's newline) that would disturb the
// screen; tabs stay.
std::string Printable(absl::string_view text);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_TERMINAL_H_
