// An agent's endpoint: the executor API, the operators' API, its state, and the
// files of its sandboxes.
#ifndef KARTOGRAPH_TESTS_MESOS_FILES_H_
#define KARTOGRAPH_TESTS_MESOS_FILES_H_

#include "tests/mesos/agent.h"
#include "tests/mesos/http_endpoint.h"

namespace kartograph::stand_in {

// On the stand-in's thread.
void OnAgentRequest(Agent* agent, const HttpRequest& request, const HttpReplier& reply);

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_FILES_H_
