// The least that running this many processes can cost: posix_spawn and wait, nothing written,
// nothing known.
//
//   bare_spawn COUNT PARALLEL PROGRAM [ARGUMENT]...
//
// Prints the wall time in seconds.
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

extern char** environ;

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: bare_spawn COUNT PARALLEL PROGRAM [ARGUMENT]...\n");
    return 2;
  }
  const int count = std::atoi(argv[1]);
  const int parallel = std::atoi(argv[2]);
  const auto start = std::chrono::steady_clock::now();
  int running = 0;
  for (int started = 0; started < count || running > 0;) {
    if (started < count && running < parallel) {
      pid_t pid = 0;
      if (posix_spawn(&pid, argv[3], nullptr, nullptr, argv + 3, environ) != 0) {
        std::perror(argv[3]);
        return 1;
      }
      ++started;
      ++running;
    } else {
      wait(nullptr);
      --running;
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%.4f\n", seconds.count());
  return 0;
}
