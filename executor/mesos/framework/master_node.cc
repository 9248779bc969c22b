#include "executor/mesos/framework/master_node.h"

#include <google/protobuf/util/json_util.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "executor/mesos/protocol/mesos.pb.h"

namespace kartograph::executor::mesos {
namespace {

constexpr absl::string_view kJson = "json.info_";
constexpr absl::string_view kBinary = "info_";  // of masters before 0.24

std::optional<int32_t> Sequence(absl::string_view name) {
  int32_t number = 0;
  if ((absl::ConsumePrefix(&name, kJson) || absl::ConsumePrefix(&name, kBinary)) &&
      absl::SimpleAtoi(name, &number)) {
    return number;
  }
  return std::nullopt;
}

// Of 32 bits that hold the address as the network has it, whose first byte is the lowest here.
std::string ToText(uint32_t ip) {
  return absl::StrCat(ip & 0xff, ".", (ip >> 8) & 0xff, ".", (ip >> 16) & 0xff, ".", ip >> 24);
}

}  // namespace

std::optional<std::string> LeadingNode(const std::vector<std::string>& names) {
  const std::string* leading = nullptr;
  std::optional<int32_t> least;
  for (const std::string& name : names) {
    const std::optional<int32_t> number = Sequence(name);
    if (!number || (least && *least <= *number)) continue;
    least = number;
    leading = &name;
  }
  if (leading == nullptr) return std::nullopt;
  return *leading;
}

absl::StatusOr<Endpoint> ParseMasterNode(absl::string_view name, absl::string_view data, bool tls) {
  const auto wrong = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("the leading master's node ", name, " ", what));
  };
  kartograph::mesos::MasterInfo info;
  if (absl::StartsWith(name, kJson)) {
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    const auto parsed = google::protobuf::util::JsonStringToMessage(
        google::protobuf::StringPiece(data.data(), data.size()), &info, options);
    if (!parsed.ok()) {
      // The lines after the first show where.
      const std::string message(parsed.message());
      return wrong(
          absl::StrCat("is not a MasterInfo in JSON: ", message.substr(0, message.find('\n'))));
    }
  } else if (!info.ParseFromArray(data.data(), static_cast<int>(data.size()))) {
    return wrong("is not a MasterInfo");
  }
  Endpoint endpoint;
  int64_t port = 0;
  std::string hostname, ip;
  if (info.has_address()) {
    hostname = info.address().hostname();
    ip = info.address().ip();
    port = info.address().port();
  } else {
    hostname = info.hostname();
    if (info.ip() != 0) ip = ToText(info.ip());
    port = info.port();
  }
  endpoint.tls = tls;
  endpoint.host = ip.empty() || (tls && !hostname.empty()) ? hostname : ip;
  if (endpoint.host.empty()) return wrong("names no host");
  if (port < 1 || port > 65535) return wrong("names no port");
  endpoint.port = static_cast<uint16_t>(port);
  return endpoint;
}

}  // namespace kartograph::executor::mesos
