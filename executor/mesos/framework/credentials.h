// Who we are to Mesos's masters.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_CREDENTIALS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_CREDENTIALS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph::executor::mesos {

// Holds the secret where no file is named.
inline constexpr char kSecretVariable[] = "KARTOGRAPH_MESOS_SECRET";

struct Credentials {
  std::string principal;
  std::string secret;  // empty: unauthenticated
};

// Reads the secret from `secret_file`, or from the environment where that is empty. The file has
// one of
//   {"principal": "kartograph", "secret": "..."}
//   kartograph ...     principal and secret, as Mesos's own tools take it
//   ...                the secret alone
// `principal` may be empty where the file has it. Without file and variable there is no secret,
// which is not an error: clusters without authentication know principals too. Unavailable for a
// file that is missing, empty or garbled; InvalidArgument for a principal that is missing, not the
// file's, or invalid. No message has the secret in it.
absl::StatusOr<Credentials> ReadCredentials(absl::string_view principal,
                                            const std::string& secret_file);

// The value of HTTP's Authorization header; empty without a secret.
std::string BasicAuthorization(const Credentials& credentials);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_CREDENTIALS_H_
