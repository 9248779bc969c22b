// Kartograph as a framework of Mesos: what the scheduler wants as calls, Mesos's events as the
// scheduler's.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_FRAMEWORK_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_FRAMEWORK_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "executor/lineage.h"
#include "executor/mesos/framework/agent_directory.h"
#include "executor/mesos/framework/agent_files.h"
#include "executor/mesos/framework/attempt_executors.h"
#include "executor/mesos/framework/cause_log.h"
#include "executor/mesos/framework/container_limits.h"
#include "executor/mesos/framework/executors.h"
#include "executor/mesos/framework/framework_id.h"
#include "executor/mesos/framework/open_offers.h"
#include "executor/mesos/framework/operator_api.h"
#include "executor/mesos/framework/retry_queue.h"
#include "executor/mesos/framework/subscription.h"
#include "executor/mesos/framework/task_status.h"
#include "executor/mesos/framework/value_fetcher.h"
#include "executor/mesos/protocol/framework_message.pb.h"
#include "executor/mesos/protocol/scheduler.pb.h"

namespace kartograph::executor::mesos {

struct FrameworkOptions {
  std::string name = "kartograph";
  std::string user;  // that tasks run as
  std::vector<std::string> roles = {"*"};
  std::string principal;
  std::string hostname;  // for people
  std::string web_ui;    // URL of the status page
  absl::Duration failover_timeout = absl::Hours(24 * 7);
  bool checkpoint = true;
  bool revocable = false;
  std::string id_file;
  // Absolute: where each blob is a file of its id's name. Empty: there are none.
  std::string blob_folder;
  // The id of a framework to give up, or "unknown"; empty: none.
  std::string abandon;
  Executors::Options executors;
  Subscription::Options subscription;
  // How long a launch may go without an update before it is reconciled; and how reconciliations and
  // kills are repeated.
  absl::Duration confirm_after = absl::Seconds(30);
  RetryQueue::Options repeat;
  // How long an attempt that the master does not know counts as unreachable: a master that has lost
  // its registry knows no agent until it has come back, which Mesos gives them ten minutes for
  // (--agent_reregister_timeout).
  absl::Duration unknown_for = absl::Minutes(10);
  // How often all attempts are compared with what Mesos knows.
  absl::Duration reconcile_every = absl::Minutes(10);
  // How often the master is asked what agents there are, and what they have.
  absl::Duration ask_for_agents_every = absl::Minutes(1);
  // And not more often than this where only offers were taken back.
  absl::Duration ask_for_agents_at_most = absl::Seconds(10);
  // How often the master is asked for the quotas of our roles, while something waits that they may
  // hold back.
  absl::Duration ask_for_quotas_every = absl::Seconds(10);
  // How return values are asked for.
  ValueFetcher::Options values;
  // Declined offers stay away this long, unless REVIVE calls them back.
  absl::Duration refuse_for = absl::Hours(1);
  // And those of agents with maintenance ahead, so long: Mesos tells nobody that it was taken back.
  absl::Duration refuse_leaving_for = absl::Seconds(30);
  // Whose attempts kartograph-executor is to have. Those of others are killed.
  Lineage lineage;
  const Clock* clock = &Clock::System();
};

// Bound to the io_context's thread. The verbs are those of Cluster.
class Framework {
 public:
  using Listener = std::function<void(std::vector<ClusterEvent>)>;

  Framework(boost::asio::io_context& io, FrameworkOptions options, Listener listener);

  // Reads the stored id. The error says what to do.
  absl::Status Prepare();
  void Start(std::unique_ptr<MasterFinder> finder);
  void OnLeaderChanged() { subscription_.OnLeaderChanged(); }
  void Stop();

  void Execute(std::vector<Launch> launches);
  void Cancel(planner::AttemptId attempt, const AgentId& agent, absl::Duration grace);
  void Acknowledge(const std::vector<planner::AttemptId>& attempts);
  void Reconcile(const std::vector<Cluster::KnownAttempt>& attempts);
  void Decline(const std::vector<OfferId>& offers);
  void Suppress();
  void Revive(const std::vector<planner::ResourceVector>& wanted);
  void ReadLog(const LogRequest& request, std::function<void(absl::StatusOr<LogChunk>)> done);
  // As of LogReader, below the work_dir of the Mesos agent. From any thread.
  std::string SandboxOf(planner::AttemptId attempt, const AgentId& agent) const;
  void Discard(planner::GraphId graph);

 private:
  using Event = kartograph::mesos::scheduler::Event;
  using Call = kartograph::mesos::scheduler::Call;

  // An attempt that has not ended, as far as is known here.
  struct Live {
    AgentId agent;
    StatusContext context;
    SteadyTime unknown_since = SteadyTime::InfiniteFuture();  // to the master
    // Of one under Mesos's own command executor, which we end ourselves.
    absl::Duration timeout = absl::InfiniteDuration();
    absl::Duration cancel_grace;
    absl::Time launched = absl::InfinitePast();  // set: by an earlier process, at this time
    SteadyTime times_out = SteadyTime::InfiniteFuture();
    bool names_ram = true;   // as far as is known
    bool timed_out = false;  // it is being killed for that
  };
  // An end that is reported and not acknowledged.
  struct Ended {
    AttemptUpdate update;
    std::string mesos_agent;
    std::string uuid;         // empty: Mesos wants no acknowledgement
    bool fetching = false;    // not reported yet: its return value is still to be read
    StatusReport value = {};  // where that is
    std::string executor;     // it ran under
  };
  struct Kill {
    AgentId agent;
    absl::Duration grace;
  };

  Call MakeCall(Call::Type type) const;
  kartograph::mesos::FrameworkInfo Describe() const;
  StoredFrameworkId::Registration Registration() const;
  // Whether Mesos lets the framework be what the settings say.
  absl::Status CheckRegistration() const;
  Call Subscribe() const;
  // framework.cc: the connection
  void OnEvent(const Event& event);
  void OnSubscribed(const Event::Subscribed& subscribed);
  void Register(const std::string& id);
  void Confirm();
  void GiveUpOld();
  void Leave();
  void OnError(const std::string& message);
  void OnLost(const std::string& reason);
  void StopForGood(const std::string& reason);
  void BeConnected();
  void OnOffers(const Event::Offers& offers);
  void AskForAgents();
  void AskForAgentsSoon();
  void AskForQuotas();
  // What quotas may hold back.
  void SetWanted(const std::vector<planner::ResourceVector>& wanted);
  // An agent whose offer was taken back may be about to be drained.
  void AskForAgentsAfterRescind();
  void OnInverseOffers(const Event::InverseOffers& offers);
  void OnFailure(const Event::Failure& failure);
  void OnMessage(const Event::Message& message);
  void SendBlobs(const Event::Message& to, const kartograph::mesos::FromExecutor& wanted);
  void SendShutdown(const std::string& agent, const std::string& executor);
  // Ends our executors on an agent that is being drained, once nothing of ours is there: it is not
  // drained while they run.
  void LeaveDrained(const std::string& agent);
  void SendDecline(const std::vector<OfferId>& offers, absl::Duration refuse_for);
  void SendMessage(const std::string& agent, const std::string& executor,
                   const kartograph::mesos::ToExecutor& message);
  // framework_tasks.cc: attempts
  void LaunchOn(const AgentId& agent, std::vector<Launch> launches);
  void Refuse(const std::vector<Launch>& launches, const std::string& reason);
  // Writes why an attempt ended that is not spent, unless that is known from others.
  void LogUnspent(const AttemptUpdate& update);
  void OnStatus(const kartograph::mesos::TaskStatus& status);
  // Takes the executor out of those that have shown no sign of life.
  void OnSignOfLife(const std::string& executor);
  // The end of an attempt whose executor's container was over a limit.
  void OnLimit(planner::AttemptId attempt, StatusReport* report);
  // Whether it is about an attempt that this history has not launched; then it is dealt with.
  bool IsOfAnother(const kartograph::mesos::TaskStatus& status, Incarnation incarnation);
  bool MayComeBack(planner::AttemptId attempt, Live& live);
  // Of one that runs under Mesos's command executor.
  void WatchTimeout(planner::AttemptId attempt, Live& live);
  void EndOverdue();
  void OnEnd(planner::AttemptId attempt, const kartograph::mesos::TaskStatus& status,
             StatusReport report);
  // Of an attempt that has ended: from its executor while that runs, in messages, otherwise from
  // the agent's files.
  void FetchReturnValue(planner::AttemptId attempt);
  void FetchFromFiles(planner::AttemptId attempt, int tries);
  void OnReturnValue(planner::AttemptId attempt, int tries, absl::StatusOr<std::string> value);
  void SendValueRequests();
  // What its end waits for.
  void TellFetching(planner::AttemptId attempt, const absl::Status& problem);
  bool Runs(const std::string& agent, const std::string& executor) const;
  void SendAcknowledgement(const std::string& mesos_agent, const std::string& task,
                           const std::string& uuid);
  void SendKill(const std::string& task, const std::string& mesos_agent, absl::Duration grace);
  void SendDue();
  void ReconcileAll();
  void ScheduleDue();
  std::string MesosAgent(const AgentId& agent) const;

  SteadyTime SteadyNow() const { return options_.clock->SteadyNow(); }

  boost::asio::io_context& io_;
  const FrameworkOptions options_;
  const Listener listener_;
  const FrameworkIdFile id_file_;
  Executors executors_;
  OpenOffers offers_;
  Subscription subscription_;
  OperatorApi operator_api_;
  AgentDirectory agents_;
  AgentFiles files_;

  StoredFrameworkId id_;
  bool is_new_ = false;      // registered by this process, and nothing was launched yet
  bool abandoned_ = false;   // an older one was given up by this process
  bool abandoning_ = false;  // subscribed as the older one, to tear it down
  // Why the framework is to be torn down, ours as it is; empty: it is not.
  std::string leaving_;
  bool reported_connected_ = false;
  bool stopped_ = false;
  std::string reported_reason_;
  std::vector<Event> early_;  // that came before we were ready for them

  std::vector<planner::ResourceVector> wanted_;
  absl::flat_hash_map<planner::AttemptId, Live> live_;
  absl::flat_hash_map<planner::AttemptId, Ended> ended_;
  absl::flat_hash_map<planner::AttemptId, Kill> kills_;
  RetryQueue to_kill_;
  RetryQueue to_reconcile_;
  // When attempts have had their time; some have ended since.
  std::set<std::pair<SteadyTime, planner::AttemptId>> timeouts_;
  bool reconciling_ = false;  // a RECONCILE is on its way
  SteadyTime next_reconcile_all_ = SteadyTime::InfiniteFuture();
  SteadyTime next_ask_for_agents_ = SteadyTime::InfiniteFuture();
  SteadyTime next_ask_for_quotas_ = SteadyTime::InfiniteFuture();
  SteadyTime asked_for_agents_ = SteadyTime::InfinitePast();
  // Agents that said that they are being drained, which they are, reactivated or not, until our
  // executors there have ended.
  absl::flat_hash_set<std::string> draining_;
  boost::asio::steady_timer due_;
  SteadyTime due_at_ = SteadyTime::InfiniteFuture();
  bool agents_refused_ = false;  // by the last answer
  // Executors of ours, by agent.
  absl::flat_hash_map<std::string, absl::flat_hash_set<std::string>> running_executors_;
  // Executors that this process has started and not heard of.
  absl::flat_hash_set<std::string> starting_;
  ContainerLimits limits_;
  ValueFetcher values_;
  AttemptExecutors executor_of_;
  CauseLog causes_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_FRAMEWORK_H_
