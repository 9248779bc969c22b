// One WatchGraph call.
#ifndef KARTOGRAPH_SERVICE_GRPC_WATCH_GRAPH_STREAM_H_
#define KARTOGRAPH_SERVICE_GRPC_WATCH_GRAPH_STREAM_H_

#include <atomic>
#include <deque>
#include <memory>
#include <optional>

#include "api/kartograph/v1/task_executer.grpc.pb.h"
#include "service/grpc/caller.h"
#include "service/service_parts.h"

namespace kartograph::service {

// Sends the graph as it is, then what the hub has gathered each time the previous message is out.
// One step follows the other; between two, `waiting_` says that whoever sets it to false goes on.
// Keeps itself until the call is over.
class WatchGraphStream final : public grpc::ServerWriteReactor<v1::WatchGraphResponse>,
                               public std::enable_shared_from_this<WatchGraphStream> {
 public:
  static WatchGraphStream* Start(const ServiceParts& parts, grpc::CallbackServerContext* context,
                                 const v1::WatchGraphRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { self_.reset(); }

 private:
  WatchGraphStream(const ServiceParts& parts, grpc::CallbackServerContext* context,
                   const v1::WatchGraphRequest& request)
      : parts_(parts),
        context_(context),
        request_(request),
        caller_(CallerOf(*context, *parts.users)) {}

  void Begin();
  void SendFirst();
  void SetGraph(v1::Graph graph);
  // The next part of the states of all tasks.
  void SendStates();
  void Wake();
  void SendNext();
  void End(const absl::Status& status);

  const ServiceParts parts_;
  grpc::CallbackServerContext* const context_;
  const v1::WatchGraphRequest request_;
  const Caller caller_;
  std::shared_ptr<WatchGraphStream> self_;
  SharedLimit::Claim open_;
  std::shared_ptr<ChangeHub::Watch> watch_;
  std::atomic<bool> waiting_{false};
  std::atomic<bool> cancelled_{false};

  std::optional<planner::TaskIndex> next_state_;  // set while states are to be sent
  v1::WatchGraphResponse message_;
  std::deque<ChangeHub::Task> unsent_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_WATCH_GRAPH_STREAM_H_
