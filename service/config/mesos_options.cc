#include "service/config/mesos_options.h"

#include <pwd.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sha256.h"
#include "executor/mesos/framework/credentials.h"
#include "service/access/secret.h"
#include "service/find_program.h"

namespace kartograph::service {
namespace {

constexpr char kExecutorName[] = "kartograph-executor";
// Of its flag --idle-memory, without it.
constexpr int64_t kUsualIdleMemory = 32 << 20;

std::string UserName() {
  passwd entry;
  passwd* found = nullptr;
  std::vector<char> buffer(16 << 10);
  getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr ? found->pw_name : absl::StrCat(geteuid());
}

// Reads the file again each time; where that fails, the last secret counts, and why is logged once.
std::function<std::string()> AuthorizationFrom(std::string file, std::string principal,
                                               std::string authorization) {
  return [file = std::move(file), principal = std::move(principal),
          authorization = std::move(authorization), problem = std::string()]() mutable {
    absl::StatusOr<executor::mesos::Credentials> read =
        executor::mesos::ReadCredentials(principal, file);
    if (read.ok()) {
      authorization = executor::mesos::BasicAuthorization(*read);
      problem.clear();
    } else if (problem != read.status().message()) {
      problem = std::string(read.status().message());
      spdlog::warn("mesos: the last secret is used on: {}", problem);
    }
    return authorization;
  };
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.good() && content.empty()) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  return content;
}

Address Advertised(const ServiceConfig& config) {
  Address address = config.http;
  if (!config.mesos.advertise.empty()) {
    address.host = config.mesos.advertise;
  } else if (address.IsWildcard()) {
    address.host = HostName();
  }
  return address;
}

}  // namespace

absl::StatusOr<MesosOptions> MakeMesosOptions(const ServiceConfig& config, const std::string& state,
                                              absl::string_view token) {
  const MesosConfig& mesos = config.mesos;
  absl::StatusOr<executor::mesos::Credentials> credentials =
      executor::mesos::ReadCredentials(mesos.principal, mesos.secret_file);
  if (!credentials.ok()) return credentials.status();

  MesosOptions options;
  options.cluster.master = *config.mesos_master;
  if (mesos.tls) options.cluster.master.tls = true;
  options.cluster.ca_file = mesos.ca_file;
  if (!mesos.ca_file.empty()) {
    const absl::StatusOr<std::string> authorities = ReadWhole(mesos.ca_file);
    if (!authorities.ok()) return authorities.status();
    if (!absl::StrContains(*authorities, "-----BEGIN ")) {
      return absl::InvalidArgumentError(
          absl::StrCat(mesos.ca_file, " has no certificate; name a PEM file with --mesos-ca"));
    }
  }
  executor::mesos::FrameworkOptions& framework = options.cluster.framework;
  framework.name = mesos.name;
  framework.user = mesos.user.empty() ? UserName() : mesos.user;
  framework.roles = mesos.roles;
  framework.principal = credentials->principal;
  framework.hostname = HostName();
  framework.failover_timeout = mesos.failover_timeout;
  framework.checkpoint = mesos.checkpoint;
  framework.revocable = mesos.revocable;
  framework.id_file = absl::StrCat(state, "/mesos-framework");
  framework.blob_folder = absl::StrCat(state, "/blobs");
  framework.abandon = mesos.abandon;
  framework.subscription.authorization = executor::mesos::BasicAuthorization(*credentials);
  if (!mesos.secret_file.empty()) {
    framework.subscription.renew_authorization = AuthorizationFrom(
        mesos.secret_file, credentials->principal, framework.subscription.authorization);
  }
  framework.executors.resources = {{planner::Resource::Cpu(), mesos.executor_cpu},
                                   {planner::Resource::Ram(), mesos.executor_ram}};
  if (!mesos.executor_disk.is_zero()) {
    framework.executors.resources.Set(*planner::Resource::Intern("disk"), mesos.executor_disk);
    framework.executors.arguments.push_back(
        absl::StrCat("--own-disk=", mesos.executor_disk.milli() / 1000));
  }
  const int64_t idle_memory = mesos.executor_ram.milli() / 1000;
  if (idle_memory != kUsualIdleMemory) {
    framework.executors.arguments.push_back(absl::StrCat("--idle-memory=", idle_memory));
  }
  const executor::DiskLimits usual;
  if (config.disk_limits.log != usual.log) {
    framework.executors.arguments.push_back(absl::StrCat("--log-limit=", config.disk_limits.log));
  }
  if (config.disk_limits.reserve != usual.reserve) {
    framework.executors.arguments.push_back(
        absl::StrCat("--disk-reserve=", config.disk_limits.reserve));
  }
  if (config.ram_headroom != executor::RamHeadroom::kUsual) {
    framework.executors.arguments.push_back(absl::StrCat("--ram-headroom=", config.ram_headroom));
  }
  if (!mesos.indexed.empty()) {
    framework.executors.arguments.push_back(absl::StrCat(
        "--indexed=", absl::StrJoin(mesos.indexed, ",", [](std::string* out, auto resource) {
          absl::StrAppend(out, resource.name());
        })));
  }
  const Address advertised = Advertised(config);
  const std::string served_at = absl::StrCat(
      config.access.tls_certificate.empty() ? "http" : "https", "://", advertised.ToString());
  if (config.http.port != 0) framework.web_ui = absl::StrCat(served_at, "/");
  if (!mesos.executor_path.empty()) {
    framework.executors.path = mesos.executor_path;
    return options;
  }
  absl::StatusOr<std::string> file =
      FindProgram(kExecutorName, "executor/mesos/executor", "", "--mesos-executor-path");
  if (!file.ok()) return file.status();
  absl::StatusOr<std::string> content = ReadWhole(*file);
  if (!content.ok()) return content.status();
  // Nobody can guess it who has not the token. Another version has another address, so that no
  // agent takes one for the other.
  const std::string secret = HmacHex(token, absl::StrCat("executor ", Sha256Hex(*content)));
  options.executor_path = absl::StrCat("/executor/", secret.substr(0, 32), "/", kExecutorName);
  options.executor = std::make_shared<const std::string>(*std::move(content));
  framework.executors.url = absl::StrCat(served_at, options.executor_path);
  if (advertised.IsLoopback()) {
    spdlog::warn(
        "agents fetch kartograph-executor from {}, which only this machine reaches; name an "
        "address of it with --http and --mesos-advertise where they run elsewhere",
        framework.executors.url);
  }
  return options;
}

}  // namespace kartograph::service
