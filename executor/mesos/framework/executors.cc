#include "executor/mesos/framework/executors.h"

#include <algorithm>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/sha256.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::ExecutorInfo;
using kartograph::mesos::Resource;

namespace {

constexpr char kName[] = "kartograph-executor";
constexpr char kIdPrefix[] = "kartograph-";

// What an executor's own resources are, in a word of its id, so that a later process can describe
// it: "u" unreserved, "r" reserved somehow, then the names of those that are revocable: "u.cpus".
constexpr char kUnreserved = 'u';
constexpr char kReserved = 'r';

std::string KindOf(const std::vector<Resource>& resources) {
  bool reserved = false;
  absl::btree_set<std::string> revocable;
  for (const Resource& resource : resources) {
    reserved |= resource.reservations_size() > 0;
    if (resource.has_revocable()) revocable.insert(resource.name());
  }
  std::string kind(1, reserved ? kReserved : kUnreserved);
  for (const std::string& name : revocable) absl::StrAppend(&kind, ".", name);
  return kind;
}

}  // namespace

Executors::Executors(Options options, std::function<std::string()> random_suffix)
    : options_(std::move(options)), random_suffix_(std::move(random_suffix)) {}

void Executors::SetFramework(const std::string& framework_id) {
  if (framework_id == framework_id_) return;
  known_.clear();
  ended_.clear();
  ended_order_.clear();
  prefixes_.clear();
  framework_id_ = framework_id;
}

bool Executors::IsOurs(absl::string_view executor_id) {
  return absl::StartsWith(executor_id, kIdPrefix);
}

// All that Mesos compares, but for what KindOf says.
const std::string& Executors::Prefix(absl::string_view role) {
  auto [it, is_new] = prefixes_.try_emplace(role);
  if (is_new) {
    const std::string described = absl::StrCat(Describe().SerializeAsString(), "\n",
                                               options_.resources.ToString(), "\n", role);
    it->second = absl::StrCat(kIdPrefix, Sha256Hex(described), "-");
  }
  return it->second;
}

ExecutorInfo Executors::Describe() const {
  ExecutorInfo info;
  info.set_type(ExecutorInfo::CUSTOM);
  info.mutable_framework_id()->set_value(framework_id_);
  info.set_name(kName);
  kartograph::mesos::CommandInfo& command = *info.mutable_command();
  command.set_shell(false);
  if (!options_.user.empty()) command.set_user(options_.user);
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

// The description of one for this role; null where it cannot be known.
const ExecutorInfo* Executors::Known(const std::string& id, absl::string_view role) {
  absl::string_view rest = id;
  if (!absl::ConsumePrefix(&rest, Prefix(role))) return nullptr;
  if (auto it = known_.find(id); it != known_.end()) return &it->second;
  // Of an earlier kartographd. What was reserved for us then is not known.
  const std::vector<absl::string_view> kind = absl::StrSplit(rest.substr(0, rest.find('-')), '.');
  if (kind[0] != absl::string_view(&kUnreserved, 1)) return nullptr;
  ExecutorInfo info = Describe();
  info.mutable_executor_id()->set_value(id);
  for (const auto& [resource, quantity] : options_.resources) {
    Resource& own = *info.add_resources() = MesosResource(resource, quantity);
    own.mutable_allocation_info()->set_role(std::string(role));
    if (std::find(kind.begin() + 1, kind.end(), own.name()) != kind.end()) own.mutable_revocable();
  }
  return &(known_[id] = std::move(info));
}

const ExecutorInfo* Executors::Find(
    const google::protobuf::RepeatedPtrField<kartograph::mesos::ExecutorID>& running,
    absl::string_view role, const OfferedResources& offered) {
  for (const kartograph::mesos::ExecutorID& id : running) {
    if (ended_.contains(id.value())) continue;
    const ExecutorInfo* info = Known(id.value(), role);
    if (info != nullptr && offered.GoWith(info->resources())) return info;
  }
  return nullptr;
}

void Executors::Forget(const std::string& executor_id) {
  known_.erase(executor_id);
  if (!ended_.insert(executor_id).second) return;
  ended_order_.push_back(executor_id);
  if (ended_order_.size() <= kMaxEnded) return;
  ended_.erase(ended_order_.front());
  ended_order_.pop_front();
}

ExecutorInfo Executors::New(const std::vector<Resource>& resources, absl::string_view role) {
  ExecutorInfo info = Describe();
  info.mutable_executor_id()->set_value(
      absl::StrCat(Prefix(role), KindOf(resources), "-", random_suffix_()));
  for (const Resource& resource : resources) *info.add_resources() = resource;
  known_[info.executor_id().value()] = info;
  return info;
}

}  // namespace kartograph::executor::mesos
