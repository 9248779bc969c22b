// Text as a terminal shows it in the end.
#ifndef KARTOGRAPH_BASE_TERMINAL_TEXT_H_
#define KARTOGRAPH_BASE_TERMINAL_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace kartograph {

// `text` without what was overwritten: of each line only what follows its last carriage return, as
// of a progress bar its last state. Line ends "\r\n" become "\n".
std::string WithoutOverwritten(absl::string_view text);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_TERMINAL_TEXT_H_
