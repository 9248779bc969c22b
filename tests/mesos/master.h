// The master of a stand-in cluster: Mesos's v1 scheduler API, and what the master knows of agents.
#ifndef KARTOGRAPH_TESTS_MESOS_MASTER_H_
#define KARTOGRAPH_TESTS_MESOS_MASTER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "executor/mesos/protocol/scheduler.pb.h"
#include "tests/mesos/agent.h"
#include "tests/mesos/allocator.h"
#include "tests/mesos/http_endpoint.h"
#include "tests/mesos/loop.h"
#include "tests/mesos/settings.h"

namespace kartograph::stand_in {

// What goes wrong, until it is set otherwise. `next_` ones hold for one call.
struct Faults {
  std::string redirect;  // "host:port" of the master that leads
  bool no_leader = false;
  bool silent = false;  // no events at all; connections stay
  bool byte_chunks = false;
  bool hides_agents = false;  // from operators
  bool forbids_tasks = false;
  bool repeats_updates = false;
  bool reorders_updates = false;
  int next_status = 0;       // 503, 400: the answer to the next call
  std::string next_message;  // of that answer
  bool drops_next_accept = false;
  bool cuts_next_event = false;  // in its middle
};

// That they are allocated to.
inline std::string RoleOf(const google::protobuf::RepeatedPtrField<mesos::Resource>& resources) {
  return resources.empty() ? "" : resources.begin()->allocation_info().role();
}

// Used on the loop's thread.
class Master final : public AgentListener {
 public:
  struct Task {
    std::string id, framework_id, agent_id, executor_id;
    mesos::TaskState state = mesos::TASK_STAGING;
    // Of the latest update that was sent; TASK_STAGING before one.
    mesos::TaskState update_state = mesos::TASK_STAGING;
    std::string update_uuid;
    Pool resources;
    std::string role;   // that these are allocated to
    bool frees = true;  // its resources are still to be freed
  };
  struct Framework {
    mesos::FrameworkInfo info;
    HttpReplier stream;  // null: not connected
    std::string stream_id;
    bool partition_aware = false;
    bool silent = false;      // this connection gets no more events
    uint64_t connection = 0;  // counts them
    absl::flat_hash_map<std::string, std::shared_ptr<Task>> tasks;
    absl::flat_hash_map<std::string, std::shared_ptr<Task>> unreachable;
    std::map<std::string, std::string> inverse_offers;  // to their agents
    const std::string& id() const { return info.id().value(); }
  };
  // kForgotten: it has been registered, but not with this master, nor is it in its registry.
  enum class Known { kRegistered, kRecovered, kUnreachable, kGone, kForgotten };
  struct AgentRecord {
    Agent* agent = nullptr;
    Known known = Known::kRegistered;
    bool connected = true;
    bool deactivated = false;  // by an operator
    bool draining = false;     // and that is why
    absl::Time unreachable_since;
    std::optional<mesos::Unavailability> unavailability;
    std::map<std::string, mesos::ExecutorInfo> executors;           // by "framework/executor"
    absl::flat_hash_map<std::string, std::shared_ptr<Task>> tasks;  // by "framework/task"
    std::set<std::string> offers;
    std::set<std::string> killed;  // tasks, while it is away: "framework/task"
    Pool used;                     // by tasks and executors
    Pool most_used;                // where the sum of cpus was largest
  };
  struct OpenOffer {
    std::string id, framework_id, role, agent_id;
    Pool resources;
    absl::Time sent;
  };

  Master(Loop& loop, const Settings& settings, Counters& counters);
  ~Master() override;

  // Before anything else.
  void AddAgent(std::unique_ptr<Agent> agent);
  void Start();
  void set_port(int port) { port_ = port; }
  AgentContext MakeAgentContext();
  std::string NewAgentId();

  void OnRequest(const HttpRequest& request, const HttpReplier& reply);

  // Faults and what an operator or the weather does. False: no such agent.
  Faults& faults() { return faults_; }
  AgentRecord* FindAgent(size_t number);
  void SilenceStreams();  // of those that are open
  void CloseStreams();
  void RescindOffers();
  void SendError(const std::string& message);
  void MarkUnreachable(AgentRecord* record);
  void MarkGone(AgentRecord* record);
  void Partition(AgentRecord* record);
  void Heal(AgentRecord* record);
  // An empty `unavailability` ends the maintenance.
  void Drain(AgentRecord* record, std::optional<mesos::Unavailability> unavailability);
  // Another master takes over, which knows nothing until agents and frameworks come.
  void FailOver(absl::Duration agents_return_after, bool keeps_registry);
  // DRAIN_AGENT or DEACTIVATE_AGENT, and REACTIVATE_AGENT.
  void Deactivate(AgentRecord* record, bool drain);
  void Reactivate(AgentRecord* record);
  // The executors there are not described as frameworks believe.
  void AlterExecutors(AgentRecord* record);
  // A task that no framework has launched here: it runs on the agent, and uses nothing.
  void AddForeignTask(AgentRecord* record, const std::string& task_id);

  const std::map<std::string, Framework>& frameworks() const { return frameworks_; }
  const std::map<std::string, AgentRecord>& agents() const { return agents_; }
  const absl::flat_hash_map<std::string, OpenOffer>& offers() const { return offers_; }
  const std::vector<std::unique_ptr<Agent>>& all_agents() const { return all_agents_; }
  const std::string& id() const { return id_; }
  const Allocator& allocator() const { return *allocator_; }
  // A role's quota; offers are made within it from now on.
  void SetQuota(const std::string& role, const Allocator::Quantities& limits) {
    allocator_->SetQuota(role, limits);
  }

  // AgentListener.
  void OnUpdate(Agent* agent, const std::string& framework_id, const mesos::TaskStatus& status,
                mesos::TaskState latest) override;
  void OnExecutorExited(Agent* agent, const std::string& framework_id,
                        const std::string& executor_id, int status) override;
  void OnExecutorMessage(Agent* agent, const std::string& framework_id,
                         const std::string& executor_id, const std::string& data) override;
  void OnAgentDown(Agent* agent) override;
  void OnAgentUp(Agent* agent) override;

 private:
  using Call = mesos::scheduler::Call;
  using Event = mesos::scheduler::Event;

  // master.cc: HTTP, subscriptions.
  void OnSchedulerCall(const HttpRequest& request, const HttpReplier& reply);
  // The operators' v1 API; knows GET_AGENTS, GET_QUOTA and GET_ROLES.
  void OnOperatorCall(const HttpRequest& request, const HttpReplier& reply);
  bool Authenticated(const HttpRequest& request) const;
  void Refuse(const HttpReplier& reply, const std::string& type, int status,
              const std::string& message);
  void Subscribe(const Call& call, const HttpReplier& reply);
  void Connect(Framework* framework, const HttpReplier& reply);
  void OnDisconnected(const std::string& framework_id, uint64_t connection);
  void RemoveFramework(const std::string& framework_id);
  void Heartbeat(const std::string& framework_id, uint64_t connection);
  void Send(Framework* framework, const Event& event);
  Framework* FindFramework(const std::string& id);
  void Reset();

  // master_calls.cc
  void Handle(Framework* framework, const Call& call);
  void Accept(Framework* framework, const Call::Accept& accept);
  void Decline(Framework* framework, const Call::Decline& decline);
  void Kill(Framework* framework, const Call::Kill& kill);
  void Acknowledge(Framework* framework, const Call::Acknowledge& acknowledge);
  void Reconcile(Framework* framework, const Call::Reconcile& reconcile);
  std::string ValidateOffers(const Framework& framework, const Call::Accept& accept) const;
  std::string ValidateTask(const Framework& framework, const AgentRecord& record,
                           const mesos::TaskInfo& task, const OpenOffer& offer, const Pool& left,
                           Pool* task_pool, Pool* executor_pool) const;
  void Launch(Framework* framework, AgentRecord* record, const mesos::TaskInfo& task,
              const Pool& task_pool, const Pool& executor_pool);
  void UpdateFramework(Framework* framework, const Call::UpdateFramework& update);

  // master_agents.cc: offers, updates, agents that come and go.
  void AllocationRound();
  void Allocate();
  // In use, or offered.
  Pool AllocatedTo(const std::string& role) const;
  void SendInverseOffers(AgentRecord* record);
  mesos::URL UrlOf(const Agent& agent) const;
  // Not rescinded: for those that are used up or whose framework is gone.
  void RemoveOffer(const std::string& offer_id, bool rescind);
  void RemoveOffersOf(AgentRecord* record);
  void SendUpdate(Framework* framework, mesos::TaskStatus status);
  void MasterUpdate(Framework* framework, const std::string& task_id, const std::string& agent_id,
                    mesos::TaskState state, const std::string& message,
                    mesos::TaskStatus::Reason reason, const std::string& executor_id = "",
                    absl::Time unreachable_since = absl::InfiniteFuture());
  void FlushHeld();
  void FreeTask(Task* task);
  void RemoveTask(const std::shared_ptr<Task>& task);
  void RemoveExecutor(AgentRecord* record, const std::string& key);
  // Adds to what is used, and checks that it is there.
  void Take(AgentRecord* record, const Pool& resources);
  void Reregister(AgentRecord* record);
  void LoseAgent(AgentRecord* record, mesos::TaskState state, mesos::TaskStatus::Reason reason,
                 const std::string& message);
  // Runs later on the loop, if the agent can be reached then.
  void Post(Agent* agent, std::function<void(Agent*)> what);

  Loop& loop_;
  const Settings& settings_;
  Counters& counters_;
  Faults faults_;
  int port_ = 0;
  std::string id_;
  uint64_t next_framework_ = 0, next_offer_ = 0, next_agent_ = 0, next_connection_ = 0;
  std::vector<std::unique_ptr<Agent>> all_agents_;
  std::map<std::string, AgentRecord> agents_;
  std::map<std::string, Framework> frameworks_;
  std::set<std::string> completed_;
  absl::flat_hash_map<std::string, OpenOffer> offers_;
  std::unique_ptr<Allocator> allocator_;
  std::vector<std::pair<std::string, mesos::TaskStatus>> held_;  // to be sent in another order
};

std::string JoinKey(const std::string& framework_id, const std::string& id);

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_MASTER_H_
