// A process without descriptors, for tests.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_TESTING_TAKEN_DESCRIPTORS_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_TESTING_TAKEN_DESCRIPTORS_H_

#include <fcntl.h>
#include <sys/resource.h>

#include <utility>
#include <vector>

#include "base/descriptor.h"

namespace kartograph::executor {

// Lowers the limit of open descriptors and takes all that are left; at its end all is as before.
class TakenDescriptors {
 public:
  TakenDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    struct rlimit low = before_;
    low.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &low);
    while (true) {
      Descriptor next(open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!next.ok()) break;
      taken_.push_back(std::move(next));
    }
  }
  ~TakenDescriptors() { GiveBackAll(); }
  TakenDescriptors(const TakenDescriptors&) = delete;
  TakenDescriptors& operator=(const TakenDescriptors&) = delete;

  void GiveBackOne() { taken_.pop_back(); }
  void GiveBackAll() {
    taken_.clear();
    setrlimit(RLIMIT_NOFILE, &before_);
  }

 private:
  struct rlimit before_ = {};
  std::vector<Descriptor> taken_;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_TESTING_TAKEN_DESCRIPTORS_H_
