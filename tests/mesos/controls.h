// What can be done to a stand-in cluster, as paths. Those with `on` hold until they are given with
// on=0; without it they begin. Times are in milliseconds.
//
//   /redirect?to=HOST:PORT     this master does not lead (307); without `to` it does again
//   /no_leader?on              no master leads (503)
//   /silence                   streams that are open now get nothing more; ?on: none gets anything
//   /close                     every framework's stream is closed
//   /cut_record                the next event ends in its middle, and the connection with it
//   /byte_chunks?on            streams that begin from now on come byte by byte
//   /forbid_tasks?on           no task is authorized to run as its user
//   /hide_agents?on            agents are not listed to operators (403)
//   /next?status=503&message=  the answer to the next call; 400 likewise
//   /drop_accept               the next ACCEPT is answered with 202 and dropped
//   /error?message=            every framework gets an ERROR
//   /rescind                   all offers are rescinded
//   /delay?ms=                 before each answer of the master
//   /repeat_updates?on         each update is sent twice
//   /reorder_updates?on        updates of different tasks come in another order
//   /resend_updates            agents repeat what is not acknowledged, now
//   /failover?agents_ms=       another master, without memory, to which agents come after that
//   time;
//                              &registry=lost: it does not know that there are any
//   /quota?role=&cpus=&mem=    limits of what a role is allocated, in cores and MiB; none: no quota
//   /add_agent?resources=&attributes=
//   /agent/N/partition         messages to and from it are lost, until
//   /agent/N/heal              it is back, with its tasks
//   /agent/N/unreachable       partitioned, and the master knows
//   /agent/N/lost              unreachable, and all that it runs is dead
//   /agent/N/gone              for good
//   /agent/N/hide_files?on&status=  reading its files fails (503, or that)
//   /agent/N/limit?task=&what=  it says that a container in which a task of this name runs is soon
//                              over its limit of `memory` or `disk`, and all that runs in it dies
//   /agent/N/enforce_limits    from now on containers are measured, and those that have more memory
//                              or disk than their tasks and executors consume are killed
//   /agent/N/leave_strays?on   what has left its session outlives its executor
//   /agent/N/lose_messages?on  what frameworks and executors send each other there is lost
//   /agent/N/restart?down_ms=  its process is away for this long; its executors stay
//   /agent/N/kill_executor?executor=&signal=   without an id: all of them
//   /agent/N/drain?in_ms=&for_ms=  unavailable from then on, with inverse offers; without for_ms
//                              forever
//   /agent/N/undrain
//   /agent/N/drain_agent       what runs there is killed, and it takes no launches until no
//   executor
//                              is left; nothing of it is offered until
//   /agent/N/reactivate
//   /agent/N/deactivate        nothing of it is offered, and what runs goes on
//   /agent/N/alter_executors   what runs there is not as its framework would describe it
//   /agent/N/foreign_task?id=  a task runs of which its framework does not know
#ifndef KARTOGRAPH_TESTS_MESOS_CONTROLS_H_
#define KARTOGRAPH_TESTS_MESOS_CONTROLS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/mesos/http_endpoint.h"
#include "tests/mesos/master.h"

namespace kartograph::stand_in {

// On the stand-in's thread. NotFound for a path that is none of these.
absl::Status ApplyControl(Master& master, const HttpRequest& request);

// A time of the query.
absl::StatusOr<absl::Duration> MillisecondsOf(const HttpRequest& request, absl::string_view name,
                                              absl::Duration otherwise);

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_CONTROLS_H_
