// Reads instances of PSPLIB (Kolisch and Sprecher 1996, "PSPLIB - a project scheduling problem
// library"), for tests and benchmarks.
#ifndef KARTOGRAPH_PLANNER_TESTING_PSPLIB_READER_H_
#define KARTOGRAPH_PLANNER_TESTING_PSPLIB_READER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "planner/project.h"

namespace kartograph::planner {

// The single-mode instance that this text of an .sm file describes, source and sink included: job j
// is task j - 1. InvalidArgument where the text is not such a file's.
absl::StatusOr<Project> ParsePsplib(absl::string_view text);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_TESTING_PSPLIB_READER_H_
