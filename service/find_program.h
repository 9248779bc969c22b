// Finds the programs that belong to kartographd.
#ifndef KARTOGRAPH_SERVICE_FIND_PROGRAM_H_
#define KARTOGRAPH_SERVICE_FIND_PROGRAM_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph::service {

// `configured`, or where that is empty the program `name` beside kartographd, or where the build
// puts it: in `folder`. NotFound says where it was looked for, and which flag names it.
absl::StatusOr<std::string> FindProgram(absl::string_view name, absl::string_view folder,
                                        const std::string& configured, absl::string_view flag);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_FIND_PROGRAM_H_
