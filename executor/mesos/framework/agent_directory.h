// The agents of a cluster: where each answers, and all that it has.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_AGENT_DIRECTORY_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_AGENT_DIRECTORY_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "executor/cluster.h"
#include "executor/mesos/endpoint.h"
#include "executor/mesos/framework/offered_resources.h"
#include "executor/mesos/framework/operator_api.h"
#include "executor/mesos/framework/role_quotas.h"
#include "executor/mesos/protocol/mesos.pb.h"
#include "executor/mesos/protocol/operator.pb.h"
#include "planner/resources.h"

namespace kartograph::executor::mesos {

// Learns from offers and from the master's operator API. Bound to the io_context's thread.
class AgentDirectory {
 public:
  struct Options {
    std::vector<std::string> roles;  // ours; one at least
    OfferedResources::Revocable revocable = OfferedResources::Revocable::kIgnored;
    planner::ResourceVector executor;  // kept out of what an agent has for attempts
    // Whether something of it is offered now. Empty: nothing is.
    std::function<bool(const AgentId&)> is_offered = {};
  };
  // `api` outlives this.
  AgentDirectory(boost::asio::io_context& io, OperatorApi* api, Options options)
      : io_(io), api_(*api), options_(std::move(options)), quotas_(options_.roles) {}

  // Where the agent's API is, as an offer of it from this master says. Masters write "http" even
  // where agents speak TLS only, which they are taken to do where the master does. Whether the
  // agent was not known before.
  bool Learn(const kartograph::mesos::Offer& offer, const Endpoint& master);
  // Asks the master where nothing is known of it. Unavailable or NotFound, for people.
  boost::asio::awaitable<absl::StatusOr<Endpoint>> Find(std::string agent, Endpoint master);

  // Asks the master what all agents have for us. `done` gets what has changed since the last
  // answer; of several calls that wait only the last is answered, and none after Forget or Stop.
  using Done = std::function<void(absl::StatusOr<std::vector<AgentCapacity>>)>;
  void AskWhatTheyHave(Endpoint master, Done done);
  // What waits for offers, from now on: where a role's quota leaves less, its agents that are not
  // offered are reported as closed for that.
  void SetWanted(std::vector<planner::ResourceVector> wanted) { wanted_ = std::move(wanted); }
  // Whether that depends on quotas: then it is worth asking for them more often.
  bool quotas_matter() const { return quotas_.any() && !(wanted_.empty() && held_back_.empty()); }
  // As AskWhatTheyHave, but only for quotas; agents are as they were.
  void AskForQuotas(Endpoint master, Done done);
  // The scheduler takes what is offered as open again.
  void OnOffered(const AgentId& agent);
  // By Mesos's ids: those that the last answer showed as drained or deactivated by an operator.
  const absl::flat_hash_set<std::string>& closed() const { return closed_; }
  // The next answer includes it again, or all. One that is under way is dropped: it may be older.
  void Forget(const std::string& agent);
  void ForgetAll();
  void Stop() {
    ++asked_;
    ++asked_for_quotas_;
  }

 private:
  using Response = absl::StatusOr<kartograph::mesos::MasterResponse>;

  boost::asio::awaitable<Response> Call(Endpoint master, kartograph::mesos::MasterCall::Type type);
  boost::asio::awaitable<Response> Ask(Endpoint master);
  boost::asio::awaitable<void> AskAndTell(Endpoint master, Done done, bool agents);
  // Whoever may not ask learns of none.
  boost::asio::awaitable<void> LearnQuotas(Endpoint master);
  // What is to be reported of agents that quotas hold back.
  std::vector<AgentCapacity> NewsOfQuotas();
  std::vector<AgentCapacity> News(const kartograph::mesos::MasterResponse& response);

  boost::asio::io_context& io_;
  OperatorApi& api_;
  const Options options_;
  absl::flat_hash_map<std::string, Endpoint> endpoints_;
  absl::flat_hash_set<std::string> known_;
  absl::flat_hash_set<std::string> closed_;
  absl::flat_hash_map<AgentId, AgentCapacity> reported_;
  absl::flat_hash_set<AgentId> held_back_;  // of these, for a quota
  std::vector<planner::ResourceVector> wanted_;
  RoleQuotas quotas_;
  int asked_ = 0;
  int asked_for_quotas_ = 0;
};

// Whether what is reserved for `reserved` is offered to `role`: to itself, and to those below it.
bool MayUseReservation(absl::string_view role, absl::string_view reserved);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_AGENT_DIRECTORY_H_
