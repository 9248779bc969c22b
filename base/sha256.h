// The digest by which blobs are known.
#ifndef KARTOGRAPH_BASE_SHA256_H_
#define KARTOGRAPH_BASE_SHA256_H_

#include <openssl/evp.h>

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace kartograph {

// SHA-256 of what is added, in parts of any size. Thread-compatible.
class Sha256 {
 public:
  Sha256();

  void Add(absl::string_view data);
  // 64 lower-case hexadecimal digits; once, at the end.
  std::string Hex();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

// That of the whole text.
std::string Sha256Hex(absl::string_view text);

// Whether this is such a digest: 64 lower-case hexadecimal digits.
bool IsSha256(absl::string_view text);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_SHA256_H_
