// What the master and its agents report about themselves over plain HTTP, as far as frameworks use
// it.
#ifndef KARTOGRAPH_TESTS_MESOS_OPERATOR_JSON_H_
#define KARTOGRAPH_TESTS_MESOS_OPERATOR_JSON_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace kartograph::stand_in {

class Agent;
class Master;
struct Counters;

std::string JsonText(absl::string_view text);  // quoted

// /slaves, /frameworks, /version, /health, /state; nothing for other paths.
std::optional<std::string> OperatorJson(const Master& master, const std::string& path);
// An agent's /state.
std::string AgentJson(const Agent& agent);
// All that a test may want to know of the whole stand-in.
std::string StateJson(const Master& master, const Counters& counters);

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_OPERATOR_JSON_H_
