#include "executor/mesos/executors.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "executor/mesos/digest.h"
#include "executor/mesos/offered_resources.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::ExecutorInfo;
using kartograph::mesos::Resource;

namespace {

constexpr char kName[] = "kartograph-executor";
constexpr char kIdPrefix[] = "kartograph-";

bool IsPlain(const std::vector<Resource>& resources) {
  for (const Resource& resource : resources) {
    if (resource.reservations_size() > 0 || resource.has_revocable()) return false;
  }
  return true;
}

}  // namespace

Executors::Executors(Options options, std::function<std::string()> random_suffix)
    : options_(std::move(options)), random_suffix_(std::move(random_suffix)) {}

void Executors::SetFramework(const std::string& framework_id) {
  if (framework_id == framework_id_) return;
  known_.clear();
  ended_.clear();
  framework_id_ = framework_id;
  digest_ = Digest(absl::StrCat(Describe().SerializeAsString(), options_.resources.ToString()));
}

bool Executors::IsOurs(absl::string_view executor_id) {
  return absl::StartsWith(executor_id, kIdPrefix);
}

std::string Executors::Prefix(absl::string_view role, bool plain) const {
  return absl::StrCat(kIdPrefix, digest_, "-", Digest(role).substr(0, 4), plain ? "-u-" : "-r-");
}

ExecutorInfo Executors::Describe() const {
  ExecutorInfo info;
  info.set_type(ExecutorInfo::CUSTOM);
  info.mutable_framework_id()->set_value(framework_id_);
  info.set_name(kName);
  kartograph::mesos::CommandInfo& command = *info.mutable_command();
  command.set_shell(false);
  command.set_value(options_.path);
  if (!options_.url.empty()) {
    kartograph::mesos::CommandInfo::URI& uri = *command.add_uris();
    uri.set_value(options_.url);
    uri.set_executable(true);
    uri.set_extract(false);
    uri.set_output_file(kName);
    command.set_value(absl::StrCat("./", kName));
  }
  command.add_arguments(kName);
  for (const std::string& argument : options_.arguments) command.add_arguments(argument);
  return info;
}

const ExecutorInfo* Executors::Find(
    const google::protobuf::RepeatedPtrField<kartograph::mesos::ExecutorID>& running,
    absl::string_view role) {
  const std::string plain = Prefix(role, true);
  for (const kartograph::mesos::ExecutorID& id : running) {
    if (ended_.contains(id.value())) continue;
    if (auto it = known_.find(id.value()); it != known_.end()) {
      const auto& resources = it->second.resources();
      if (resources.empty() || resources[0].allocation_info().role() == role) return &it->second;
      continue;
    }
    if (!absl::StartsWith(id.value(), plain)) continue;
    // Of an earlier kartographd: it was started with resources that nobody had reserved.
    ExecutorInfo info = Describe();
    info.mutable_executor_id()->set_value(id.value());
    std::vector<Resource> whole;
    for (const auto& [resource, quantity] : options_.resources) {
      Resource& piece = whole.emplace_back(MesosResource(resource, quantity));
      piece.mutable_allocation_info()->set_role(std::string(role));
    }
    for (Resource& piece : whole) *info.add_resources() = std::move(piece);
    return &(known_[id.value()] = std::move(info));
  }
  return nullptr;
}

ExecutorInfo Executors::New(const std::vector<Resource>& resources, absl::string_view role) {
  ExecutorInfo info = Describe();
  info.mutable_executor_id()->set_value(
      absl::StrCat(Prefix(role, IsPlain(resources)), random_suffix_()));
  for (const Resource& resource : resources) *info.add_resources() = resource;
  known_[info.executor_id().value()] = info;
  return info;
}

}  // namespace kartograph::executor::mesos
