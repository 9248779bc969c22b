// Certificate and key with which the service shows who it is.
#ifndef KARTOGRAPH_SERVICE_ACCESS_TLS_H_
#define KARTOGRAPH_SERVICE_ACCESS_TLS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace kartograph::service {

// In PEM. A value.
struct Tls {
  std::string certificates{};  // the service's own, then those that lead to an authority's
  std::string key{};
  std::string client_ca{};  // who signs the certificates of clients; empty: they need none
  absl::Time end{};         // of the service's certificate; from then on clients refuse it
};

// Reads and checks the files; `client_ca_file` may be empty. An error names the file and says what
// is wrong: it cannot be read, holds nothing of the kind, or the key is not the certificate's.
absl::StatusOr<Tls> ReadTls(const std::string& certificate_file, const std::string& key_file,
                            const std::string& client_ca_file);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_ACCESS_TLS_H_
