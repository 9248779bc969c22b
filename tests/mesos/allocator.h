// Who is offered what: much like Mesos's hierarchical allocator.
#ifndef KARTOGRAPH_TESTS_MESOS_ALLOCATOR_H_
#define KARTOGRAPH_TESTS_MESOS_ALLOCATOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "executor/mesos/protocol/mesos.pb.h"
#include "tests/mesos/pool.h"

namespace kartograph::stand_in {

// What an agent has is free or allocated, that is offered or in use. Thread-compatible.
class Allocator {
 public:
  struct Grant {
    std::string framework_id, role, agent_id;
    Pool resources;
  };

  // `min_allocatable` is as for a master's flag: quantities of which one must be there,
  // "cpus:0.01|mem:32".
  Allocator(absl::Duration interval, const std::string& min_allocatable);

  // Also for one that is there: its roles and offer filters may have changed.
  void SetFramework(const mesos::FrameworkInfo& info, const std::set<std::string>& suppressed);
  void SetFrameworkActive(const std::string& framework_id, bool active);
  void RemoveFramework(const std::string& framework_id);

  void AddAgent(const std::string& agent_id, const Pool& total);
  void SetAgentActive(const std::string& agent_id, bool active);
  void RemoveAgent(const std::string& agent_id);

  // Without roles: all of the framework's. Revive clears what was refused.
  void Revive(const std::string& framework_id, const std::vector<std::string>& roles);
  void Suppress(const std::string& framework_id, const std::vector<std::string>& roles);

  // Takes what is in use on an agent that comes with it.
  void Use(const std::string& framework_id, const std::string& agent_id, const Pool& resources);
  // Free again.
  void Recover(const std::string& framework_id, const std::string& agent_id, const Pool& resources);
  // The framework does not want what is contained in these for this long.
  void Refuse(const std::string& framework_id, const std::string& role, const std::string& agent_id,
              const Pool& resources, absl::Duration duration);

  using Quantities = std::map<std::string, int64_t>;  // in thousandths
  // The quota of a role: limits of what it is allocated. Without any there is none.
  void SetQuota(const std::string& role, const Quantities& limits);
  const std::map<std::string, Quantities>& quotas() const { return quotas_; }

  // Allocates what is free; costs nothing for agents without free resources. Of a role with a quota
  // it is told what it has.
  std::vector<Grant> Allocate(const std::function<Pool(const std::string& role)>& allocated);

  const Pool& free_of(const std::string& agent_id) const { return agents_.at(agent_id).free; }

 private:
  struct Filter {
    Pool refused;
    absl::Time until;
  };
  struct Role {
    bool suppressed = false;
    bool has_min = false;
    std::vector<Quantities> min;  // one of them must be there, or none is asked for
    absl::flat_hash_map<std::string, std::vector<Filter>> filters;  // by agent
  };
  struct Framework {
    bool active = false;
    bool revocable = false;
    bool gpus = false;
    std::map<std::string, Role> roles;
    int64_t share = 0;  // thousandths of cpus that it holds
  };
  struct Agent {
    Pool total, free;
    bool active = true;
  };

  bool Allocatable(const Role& role, const Pool& resources) const;
  static bool IsRefused(Role* role, const std::string& agent_id, const Pool& resources,
                        absl::Time now);

  const absl::Duration interval_;
  std::vector<Quantities> min_;
  std::map<std::string, Quantities> quotas_;  // by role
  std::map<std::string, Framework> frameworks_;
  absl::flat_hash_map<std::string, Agent> agents_;
  std::set<std::string> with_free_;  // agents
};

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_ALLOCATOR_H_
