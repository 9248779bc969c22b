#include "executor/mesos/framework/master_address.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace kartograph::executor::mesos {
namespace {

constexpr uint16_t kMasterPort = 5050;
constexpr uint16_t kZookeeperPort = 2181;
constexpr absl::string_view kZookeeperForm = "zk://host:2181,host:2181/mesos";

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("address of the Mesos masters: ", what));
}

absl::Status ParseHosts(absl::string_view text, uint16_t default_port, MasterAddress& address) {
  if (text.empty()) return Wrong("it names no host");
  for (absl::string_view one : absl::StrSplit(text, ',')) {
    // Often written at every host, as in lists of browsers' addresses.
    if (absl::StrContains(one, "://")) {
      return Wrong(absl::StrCat("the scheme stands once, before the first host: \"",
                                absl::CEscape(one), "\""));
    }
    absl::StatusOr<HostPort> host = ParseHostPort(one, default_port);
    if (!host.ok()) return Wrong(host.status().message());
    address.hosts.push_back(*std::move(host));
  }
  return absl::OkStatus();
}

absl::Status ParseMasters(absl::string_view rest, MasterAddress& address) {
  const size_t slash = rest.find('/');
  // Not through a comma: that a scheme is repeated is the better message.
  if (slash != rest.npos && !absl::StrContains(rest, "://")) {
    const absl::string_view path = rest.substr(slash);
    rest = rest.substr(0, slash);
    if (path != "/") {
      return Wrong(absl::StrCat("no path comes after the hosts of masters: leave \"",
                                absl::CEscape(path), "\" out, or use ", kZookeeperForm));
    }
  }
  if (absl::StrContains(rest, '@')) {
    return Wrong("credentials for the masters do not belong in it, as every user would see them");
  }
  return ParseHosts(rest, kMasterPort, address);
}

absl::Status ParseZookeeper(absl::string_view rest, MasterAddress& address) {
  const size_t slash = rest.find('/');
  absl::string_view path = slash == rest.npos ? "" : rest.substr(slash);
  absl::string_view hosts = rest.substr(0, slash);
  if (const size_t at = hosts.rfind('@'); at != hosts.npos) {
    const std::pair<absl::string_view, absl::string_view> both =
        absl::StrSplit(hosts.substr(0, at), absl::MaxSplits(':', 1));
    address.user = std::string(both.first);
    address.password = std::string(both.second);
    hosts.remove_prefix(at + 1);
    if (address.user.empty() || address.password.empty()) {
      return Wrong("what comes before the @ is user:password");
    }
  } else if (absl::StrContains(path, '@')) {
    return Wrong("the password of ZooKeeper's user has no / in it");
  }
  absl::ConsumeSuffix(&path, "/");
  if (path.empty()) {
    return Wrong(absl::StrCat("after ZooKeeper's hosts comes the path where the masters register: ",
                              kZookeeperForm));
  }
  if (path.find_first_of("?#, \t\r\n") != path.npos || absl::StrContains(path, "//") ||
      absl::StrContains(absl::StrCat(path, "/"), "/./") ||
      absl::StrContains(absl::StrCat(path, "/"), "/../")) {
    return Wrong(absl::StrCat("\"", absl::CEscape(path), "\" is not a path in ZooKeeper; ",
                              "it comes once, after the last host: ", kZookeeperForm));
  }
  address.path = std::string(path);
  return ParseHosts(hosts, kZookeeperPort, address);
}

}  // namespace

std::string MasterAddress::ToString() const {
  return absl::StrCat(
      zookeeper ? "zk://" : (tls ? "https://" : "http://"), user, user.empty() ? "" : "@",
      absl::StrJoin(
          hosts, ",",
          [](std::string* out, const HostPort& host) { absl::StrAppend(out, host.ToString()); }),
      path);
}

absl::StatusOr<MasterAddress> ParseMasterAddress(absl::string_view text) {
  const size_t colon = text.find("://");
  if (colon == text.npos) {
    return Wrong(absl::StrCat("it begins with http://, https:// or zk://, such as http://host:",
                              kMasterPort, " or ", kZookeeperForm));
  }
  const absl::string_view scheme = text.substr(0, colon);
  const absl::string_view rest = text.substr(colon + 3);
  MasterAddress address;
  absl::Status status;
  if (scheme == "http" || scheme == "https") {
    address.tls = scheme == "https";
    status = ParseMasters(rest, address);
  } else if (scheme == "zk") {
    address.zookeeper = true;
    status = ParseZookeeper(rest, address);
  } else {
    status = Wrong(absl::StrCat("it begins with http://, https:// or zk://, not with \"",
                                absl::CEscape(scheme), "://\""));
  }
  if (!status.ok()) return status;
  return address;
}

}  // namespace kartograph::executor::mesos
