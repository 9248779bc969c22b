// Certificates that a test makes for itself.
#ifndef KARTOGRAPH_SERVICE_ACCESS_TESTING_CERTIFICATES_H_
#define KARTOGRAPH_SERVICE_ACCESS_TESTING_CERTIFICATES_H_

#include <string>

#include "absl/time/time.h"

namespace kartograph::service {

// A key and a certificate of "localhost" and 127.0.0.1 that is its own authority. In PEM.
struct SelfSigned {
  explicit SelfSigned(absl::Duration life = absl::Hours(24));

  std::string certificate;
  std::string key;
};

// Writes a file of this mode into a folder of this test program; returns its path.
std::string WriteTestFile(const std::string& name, const std::string& text, int mode = 0600);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_ACCESS_TESTING_CERTIFICATES_H_
