// The offers of Mesos that we hold.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_OPEN_OFFERS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_OPEN_OFFERS_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "executor/mesos/framework/executors.h"
#include "executor/mesos/framework/offered_resources.h"
#include "executor/mesos/protocol/mesos.pb.h"

namespace kartograph::executor::mesos {

// An agent as the scheduler knows it is an agent of Mesos as seen by one of our roles: what is
// offered to different roles cannot be used together. The first role's agents go by Mesos's id, the
// others' by "id@role".
struct AgentKey {
  std::string agent;
  std::string role;
};
// Sorted by name, as text.
std::vector<std::pair<std::string, std::string>> AttributesOf(
    const google::protobuf::RepeatedPtrField<kartograph::mesos::Attribute>& attributes);
// And those that say what it is to Mesos, unless it has such of its own.
inline constexpr char kIdAttribute[] = "mesos_id";
inline constexpr char kRoleAttribute[] = "mesos_role";
std::vector<std::pair<std::string, std::string>> AttributesOf(
    const google::protobuf::RepeatedPtrField<kartograph::mesos::Attribute>& attributes,
    const AgentKey& key);
AgentId ToAgentId(const AgentKey& key, const std::vector<std::string>& roles);
AgentKey ToAgentKey(const AgentId& id, const std::vector<std::string>& roles);

// Thread-compatible. What an executor of ours needs for itself is kept out of what the scheduler
// sees of an agent where none runs yet, once however many of its offers are open.
class OpenOffers {
 public:
  struct Options {
    std::vector<std::string> roles;  // one at least
    OfferedResources::Revocable revocable = OfferedResources::Revocable::kIgnored;
    const Clock* clock = &Clock::System();
  };
  // `executors` outlives this.
  OpenOffers(Options options, Executors* executors)
      : options_(std::move(options)), executors_(executors) {}

  // The offer as the scheduler gets it. Maintenance counts until its window is over.
  Offer Add(const kartograph::mesos::Offer& offer);
  // Whether it was there.
  bool Remove(const OfferId& id);
  // Whether it is there, and its agent is to be taken down or may be down for maintenance.
  bool IsLeaving(const OfferId& id) const;
  // Whether something of the agent is offered.
  bool Has(const AgentId& agent) const { return by_agent_.contains(agent); }
  void Clear();

  // All that is offered of an agent, taken out to be launched on.
  struct Taken {
    AgentKey key;
    std::vector<OfferId> ids;
    OfferedResources resources;
    // An executor of ours that runs there; null: one has to be started. Valid until the next call
    // to Executors.
    const kartograph::mesos::ExecutorInfo* executor = nullptr;
  };
  // Nothing where no offer of it is open.
  std::optional<Taken> Take(const AgentId& agent);

  size_t size() const { return offers_.size(); }

 private:
  // When the agent is taken down; InfiniteFuture where it is not, or that is over.
  absl::Time UnavailableFrom(const kartograph::mesos::Offer& offer) const;

  const Options options_;
  Executors* const executors_;
  absl::flat_hash_map<OfferId, kartograph::mesos::Offer> offers_;
  struct OfAgent {
    std::vector<OfferId> ids;
    OfferId reduced;  // the one that the executor's own resources are kept out of; empty: none
  };
  absl::flat_hash_map<AgentId, OfAgent> by_agent_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_OPEN_OFFERS_H_
