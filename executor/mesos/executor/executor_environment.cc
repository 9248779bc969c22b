#include "executor/mesos/executor/executor_environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kartograph::executor::mesos {
namespace {

constexpr char kToken[] = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN";

// Reads variables one after the other and keeps the first thing that is wrong.
class Reader {
 public:
  explicit Reader(const std::function<const char*(const char*)>& get) : get_(get) {}

  std::string Optional(const char* name) const {
    const char* value = get_(name);
    return value == nullptr ? "" : value;
  }

  std::string Required(const char* name) {
    std::string value = Optional(name);
    if (value.empty()) {
      Fail(absl::StrCat(name, " is not set: this program is started by a Mesos agent"));
    }
    return value;
  }

  absl::Duration Duration(const char* name, absl::Duration otherwise) {
    const std::string text = Optional(name);
    if (text.empty()) return otherwise;
    absl::StatusOr<absl::Duration> duration = ParseMesosDuration(text);
    if (!duration.ok()) Fail(absl::StrCat(name, ": ", duration.status().message()));
    return duration.value_or(otherwise);
  }

  bool Flag(const char* name) const {
    const std::string value = Optional(name);
    return value == "1" || value == "true";
  }

  void Fail(absl::string_view problem) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(problem);
  }
  const absl::Status& status() const { return status_; }

 private:
  const std::function<const char*(const char*)>& get_;
  absl::Status status_;
};

// "127.0.0.1:5051" or "[::1]:5051".
bool ParseAddress(absl::string_view text, Endpoint* endpoint) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return false;
  absl::string_view host = text.substr(0, colon);
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) {
    host = host.substr(1, host.size() - 2);
  }
  uint32_t port = 0;
  if (host.empty() || !absl::SimpleAtoi(text.substr(colon + 1), &port)) return false;
  if (port == 0 || port > UINT16_MAX) return false;
  endpoint->host = std::string(host);
  endpoint->port = static_cast<uint16_t>(port);
  return true;
}

}  // namespace

absl::StatusOr<absl::Duration> ParseMesosDuration(absl::string_view text) {
  const std::pair<absl::string_view, absl::Duration> units[] = {
      {"ns", absl::Nanoseconds(1)}, {"us", absl::Microseconds(1)}, {"ms", absl::Milliseconds(1)},
      {"secs", absl::Seconds(1)},   {"mins", absl::Minutes(1)},    {"hrs", absl::Hours(1)},
      {"days", absl::Hours(24)},    {"weeks", absl::Hours(24 * 7)}};
  size_t digits = 0;
  while (digits < text.size() && (absl::ascii_isdigit(text[digits]) || text[digits] == '.')) {
    ++digits;
  }
  double count = 0;
  if (absl::SimpleAtod(text.substr(0, digits), &count)) {
    for (const auto& [name, unit] : units) {
      if (text.substr(digits) == name) return count * unit;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not a valid duration; use one such as 15mins or 2.5secs"));
}

absl::StatusOr<ExecutorEnvironment> ReadExecutorEnvironment(
    const std::function<const char*(const char*)>& get) {
  Reader reader(get);
  ExecutorEnvironment environment;
  const std::string address = reader.Required("MESOS_AGENT_ENDPOINT");
  if (!address.empty() && !ParseAddress(address, &environment.agent)) {
    reader.Fail(absl::StrCat("MESOS_AGENT_ENDPOINT: '", address, "' is not ADDRESS:PORT"));
  }
  environment.agent.target = "/api/v1/executor";
  environment.agent.tls = reader.Flag("LIBPROCESS_SSL_ENABLED") || reader.Flag("SSL_ENABLED");
  environment.tls_ca_file = reader.Optional("LIBPROCESS_SSL_CA_FILE");
  environment.tls_verify =
      reader.Flag("LIBPROCESS_SSL_VERIFY_SERVER_CERT") || reader.Flag("LIBPROCESS_SSL_VERIFY_CERT");
  environment.framework_id = reader.Required("MESOS_FRAMEWORK_ID");
  environment.executor_id = reader.Required("MESOS_EXECUTOR_ID");
  // In a container with an image the sandbox is elsewhere than for the agent.
  environment.sandbox = reader.Optional("MESOS_SANDBOX");
  if (environment.sandbox.empty()) environment.sandbox = reader.Required("MESOS_DIRECTORY");
  if (!environment.sandbox.empty() && environment.sandbox[0] != '/') {
    reader.Fail(absl::StrCat("the sandbox '", environment.sandbox, "' is not an absolute path"));
  }
  const std::string token = reader.Optional(kToken);
  if (!token.empty()) environment.authorization = absl::StrCat("Bearer ", token);
  environment.checkpoint = reader.Flag("MESOS_CHECKPOINT");
  environment.recovery_timeout =
      reader.Duration("MESOS_RECOVERY_TIMEOUT", environment.recovery_timeout);
  environment.max_backoff =
      reader.Duration("MESOS_SUBSCRIPTION_BACKOFF_MAX", environment.max_backoff);
  environment.shutdown_grace =
      reader.Duration("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", environment.shutdown_grace);
  if (!reader.status().ok()) return reader.status();
  return environment;
}

void CleanEnvironment() {
  std::vector<std::string> names;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    const absl::string_view name = text.substr(0, text.find('='));
    const bool ours = absl::StartsWith(name, "MESOS_") || absl::StartsWith(name, "LIBPROCESS_") ||
                      absl::StartsWith(name, "SSL_");
    if (ours && name != "MESOS_SANDBOX") names.emplace_back(name);
  }
  // unsetenv leaves the text where /proc/PID/environ shows it.
  if (char* token = getenv(kToken)) memset(token, 'x', strlen(token));
  for (const std::string& name : names) unsetenv(name.c_str());
}

}  // namespace kartograph::executor::mesos
