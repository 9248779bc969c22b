// Projects made from a seed, for property tests.
#ifndef KARTOGRAPH_PLANNER_TESTING_RANDOM_PROJECT_H_
#define KARTOGRAPH_PLANNER_TESTING_RANDOM_PROJECT_H_

#include <cstdint>

#include "planner/project.h"

namespace kartograph::planner {

struct RandomProjectOptions {
  size_t tasks = 30;
  size_t resources = 4;
  int64_t longest = 10;     // durations are from 0 to this
  int64_t capacity = 1000;  // of each resource, at most
  double edges = 1.5;       // a task, on average
};

// Task indexes are in no order that has to do with precedence.
Project RandomProject(uint64_t seed, const RandomProjectOptions& options = {});

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_TESTING_RANDOM_PROJECT_H_
