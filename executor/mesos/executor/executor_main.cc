// kartograph-executor: what a Mesos agent starts to run Kartograph's attempts.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/argument_error.h"
#include "base/file_io.h"
#include "base/version.h"
#include "executor/agent/duration_flag.h"
#include "executor/mesos/executor/executor_driver.h"
#include "executor/mesos/executor/executor_environment.h"
#include "planner/resources.h"

namespace kartograph::executor::mesos {
namespace {

namespace ssl = boost::asio::ssl;

constexpr int kWrongUse = 2;

int Fail(int status, const std::string& problem) {
  fprintf(stderr, "kartograph-executor: %s\n", problem.c_str());
  return status;
}

// -1: go on; otherwise the status to exit with.
int ReadFlags(int argc, char** argv, ExecutorDriver::Options* options) {
  CLI::App app(
      "Runs Kartograph's attempts on a Mesos agent, which starts it and passes all it has to know\n"
      "in variables MESOS_*.",
      "kartograph-executor");
  AddDurationFlag(app, "--idle-exit", &options->idle_exit,
                  "Exit after this long without attempts (1m)");
  AddDurationFlag(app, "--report-interval", &options->report_interval,
                  "How often to report on the host (10s)");
  app.add_option("--log-limit", options->disk_limits.log, "Bytes of each stream that are kept")
      ->check(CLI::Range(DiskLimits::kLeastLog, std::numeric_limits<int64_t>::max()));
  app.add_option("--disk-reserve", options->disk_limits.reserve,
                 "Free bytes below which nothing is started")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()));
  app.add_option("--ram-headroom", options->ram_headroom,
                 "Bytes beyond twice its ram that each process of an attempt can map")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--idle-memory", options->idle_memory,
                 "Bytes that idle workers may hold: what Mesos has given to the executor itself")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--own-disk", options->own_disk,
                 "Bytes of disk that Mesos has given to the executor itself, for old logs")
      ->check(CLI::NonNegativeNumber);
  std::vector<std::string> indexed;
  app.add_option("--indexed", indexed,
                 "Resources of which each attempt is given instances for itself: NAME[,NAME...]")
      ->delimiter(',');
  const std::string version = absl::StrCat("kartograph-executor ", kVersion);
  app.set_version_flag("--version", version, "Print the version");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return WriteAll(STDOUT_FILENO, app.help()) ? 0 : 1;
  } catch (const CLI::CallForVersion&) {
    return WriteAll(STDOUT_FILENO, version + "\n") ? 0 : 1;
  } catch (const CLI::ParseError& error) {
    return Fail(kWrongUse, ArgumentError(error));
  }
  for (const std::string& name : indexed) {
    const absl::StatusOr<planner::Resource> resource = planner::Resource::Intern(name);
    if (!resource.ok()) {
      return Fail(kWrongUse, "--indexed: " + std::string(resource.status().message()));
    }
    options->indexed.push_back(*resource);
  }
  return -1;
}

// Trusts whom the agent's own settings trust.
boost::system::error_code SetUpTls(const ExecutorEnvironment& environment, ssl::context* tls) {
  boost::system::error_code error;
  if (!environment.tls_verify) return error;
  tls->set_verify_mode(ssl::verify_peer, error);
  tls->set_verify_callback(ssl::host_name_verification(environment.agent.host), error);
  if (environment.tls_ca_file.empty()) {
    tls->set_default_verify_paths(error);
  } else {
    tls->load_verify_file(environment.tls_ca_file, error);
  }
  return error;
}

int Main(int argc, char** argv) {
  ExecutorDriver::Options options;
  if (const int status = ReadFlags(argc, argv, &options); status >= 0) return status;
  absl::StatusOr<ExecutorEnvironment> environment = ReadExecutorEnvironment(getenv);
  if (!environment.ok()) return Fail(kWrongUse, std::string(environment.status().message()));
  CleanEnvironment();
  options.environment = *std::move(environment);

  std::unique_ptr<ssl::context> tls;
  if (options.environment.agent.tls) {
    tls = std::make_unique<ssl::context>(ssl::context::tls_client);
    if (const auto error = SetUpTls(options.environment, tls.get()); error) {
      return Fail(kWrongUse, "cannot read the certificates to trust: " + error.message());
    }
    options.tls_context = tls.get();
  }

  signal(SIGPIPE, SIG_IGN);
  boost::asio::io_context io(1);
  int exit_status = 0;
  absl::StatusOr<std::unique_ptr<ExecutorDriver>> executor =
      ExecutorDriver::Create(io, std::move(options), [&](int status, const std::string& reason) {
        exit_status = status;
        if (status != 0) Fail(status, reason);
        io.stop();
      });
  if (!executor.ok()) return Fail(1, std::string(executor.status().message()));
  boost::asio::signal_set terminate(io, SIGTERM, SIGINT);
  terminate.async_wait([&](const boost::system::error_code& error, int) {
    if (!error) (*executor)->ShutDown("terminated by a signal");
  });
  io.run();
  return exit_status;
}

}  // namespace
}  // namespace kartograph::executor::mesos

int main(int argc, char** argv) { return kartograph::executor::mesos::Main(argc, argv); }
