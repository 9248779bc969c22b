// Agents that a cluster reports once for each of our roles, as one each.
#ifndef KARTOGRAPH_SERVICE_ROLES_AS_ONE_H_
#define KARTOGRAPH_SERVICE_ROLES_AS_ONE_H_

#include "scheduler/snapshot.h"

namespace kartograph::service {

// Agents with the same attribute `mesos_id` are one host to people: the first of them stands for
// all, with all its roles in `mesos_role`. Of each resource it has the most that one role may have,
// as unreserved ones are the same for all, and of what is used the sum. It is closed where all of
// them are; agents that have no such attribute stay as they are.
void ShowRolesAsOne(scheduler::ClusterSnapshot* cluster);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_ROLES_AS_ONE_H_
