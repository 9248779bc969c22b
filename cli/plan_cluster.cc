#include "cli/plan_cluster.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/file_problems.h"
#include "planner/names.h"
#include "planner/resources.h"

namespace kartograph::cli {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;

// Adds "NAME=QUANTITY" to `resources`.
absl::Status AddQuantity(absl::string_view part, ResourceVector* resources) {
  const std::pair<absl::string_view, absl::string_view> words =
      absl::StrSplit(part, absl::MaxSplits('=', 1));
  if (part.find('=') == absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(part), " is not NAME=QUANTITY"));
  }
  if (const std::string problem = planner::ResourceNameProblem(words.first); !problem.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(words.first), " ", problem));
  }
  const absl::StatusOr<Quantity> quantity = planner::ParseQuantity(words.second, words.first);
  if (!quantity.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(words.first, ": ", Quoted(words.second), " ", quantity.status().message()));
  }
  if (quantity->is_zero()) {
    return absl::InvalidArgumentError(
        absl::StrCat(words.first, " is 0: give more, or leave it out"));
  }
  const absl::StatusOr<Resource> resource = Resource::Intern(words.first);
  if (!resource.ok()) return resource.status();
  if (!resources->Get(*resource).is_zero()) {
    return absl::InvalidArgumentError(absl::StrCat(words.first, " is given twice"));
  }
  resources->Set(*resource, *quantity);
  return absl::OkStatus();
}

// Of quantities as messages have them; what is none is left out.
ResourceVector FromMessage(const google::protobuf::Map<std::string, double>& quantities) {
  ResourceVector resources;
  for (const auto& [name, units] : quantities) {
    const absl::StatusOr<Quantity> quantity = Quantity::FromUnits(units);
    const absl::StatusOr<Resource> resource = Resource::Intern(name);
    if (quantity.ok() && resource.ok()) resources.Set(*resource, *quantity);
  }
  return resources;
}

bool AnAgentHas(const forecast::Cluster& cluster, Resource resource) {
  return std::any_of(cluster.agents.begin(), cluster.agents.end(),
                     [&](const ResourceVector& agent) { return !agent.Get(resource).is_zero(); });
}

}  // namespace

absl::Status AddAgents(absl::string_view word, PlanCluster* cluster) {
  const auto wrong = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        why, "; agents are given as [COUNTx]NAME=QUANTITY,..., such as 20xcpu=16,ram=64GiB"));
  };
  size_t count = 1;
  absl::string_view rest = word;
  if (!rest.empty() && absl::ascii_isdigit(static_cast<unsigned char>(rest[0]))) {
    const size_t x = rest.find('x');
    if (x == absl::string_view::npos || !absl::SimpleAtoi(rest.substr(0, x), &count)) {
      return wrong(absl::StrCat(Quoted(word), " does not begin with a number and an x"));
    }
    rest.remove_prefix(x + 1);
  }
  if (count < 1 || count > PlanCluster::kMaxAgents - cluster->names.size()) {
    return wrong(absl::StrCat("a plan is for 1 to ", PlanCluster::kMaxAgents, " agents, not ",
                              cluster->names.size() + count));
  }
  ResourceVector agent;
  for (absl::string_view part : absl::StrSplit(rest, ',')) {
    if (absl::Status status = AddQuantity(part, &agent); !status.ok()) {
      return wrong(status.message());
    }
  }
  for (size_t i = 0; i < count; ++i) {
    cluster->cluster.agents.push_back(agent);
    cluster->names.push_back(absl::StrCat("agent ", cluster->names.size() + 1));
  }
  return absl::OkStatus();
}

absl::Status SetPlanPool(absl::string_view word, std::vector<std::string>* seen,
                         PlanCluster* cluster) {
  ResourceVector given;
  if (absl::Status status = AddQuantity(word, &given); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        status.message(), "; a pool is given as NAME=NUMBER, such as db_connections=40"));
  }
  const ResourceVector::Entry pool = *given.begin();
  const std::string name(pool.resource.name());
  if (pool.resource == Resource::Cpu() || pool.resource == Resource::Ram()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " belongs to agents and cannot be a pool; see --agents"));
  }
  if (AnAgentHas(cluster->cluster, pool.resource)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is a resource of agents; a pool needs a name that no agent has"));
  }
  if (std::find(seen->begin(), seen->end(), name) != seen->end()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is given twice"));
  }
  seen->push_back(name);
  cluster->cluster.pools.Set(pool.resource, pool.quantity);
  if (cluster->cluster.pools.size() > PlanCluster::kMaxPools) {
    return absl::InvalidArgumentError(
        absl::StrCat("a plan has at most ", PlanCluster::kMaxPools, " pools"));
  }
  return absl::OkStatus();
}

absl::Status AddServiceCluster(const v1::Cluster& service, PlanCluster* cluster) {
  for (const v1::Agent& agent : service.agents()) {
    ResourceVector capacity = FromMessage(agent.capacity());
    if (!agent.connected() || !agent.closed().empty() || capacity.empty()) continue;
    cluster->cluster.agents.push_back(std::move(capacity));
    cluster->names.push_back(agent.name());
  }
  if (cluster->names.empty()) {
    return absl::FailedPreconditionError(
        "the service has no agent that could run something now; say what to plan for: --agents");
  }
  for (const v1::Pool& pool : service.pools()) {
    const absl::StatusOr<Quantity> capacity = Quantity::FromUnits(pool.capacity());
    const absl::StatusOr<Resource> resource = Resource::Intern(pool.name());
    if (!capacity.ok() || !resource.ok() || AnAgentHas(cluster->cluster, *resource)) continue;
    cluster->cluster.pools.Set(*resource, *capacity);
  }
  return absl::OkStatus();
}

}  // namespace kartograph::cli
