// What a fuzz target demands of what it tests, beyond that it does not crash.
#ifndef KARTOGRAPH_TESTS_FUZZ_EXPECT_H_
#define KARTOGRAPH_TESTS_FUZZ_EXPECT_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/string_view.h"

// Ends the program where the condition does not hold; libFuzzer then keeps the input.
#define FUZZ_EXPECT(condition)                                                       \
  do {                                                                               \
    if (!(condition)) {                                                              \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                       \
    }                                                                                \
  } while (false)

namespace kartograph {

inline absl::string_view InputText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace kartograph

#endif  // KARTOGRAPH_TESTS_FUZZ_EXPECT_H_
