// C++'s library takes random numbers from a function that glibc has since 2.36. With this one in
// its place, programs that have that library inside also run on glibc 2.35, which is what
// Ubuntu 22.04 has.
#include <stdlib.h>
#include <sys/random.h>

#include <cstdint>

extern "C" uint32_t arc4random() noexcept {
  uint32_t value = 0;
  if (getrandom(&value, sizeof(value), 0) != sizeof(value)) abort();
  return value;
}
