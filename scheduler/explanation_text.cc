#include "scheduler/explanation_text.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/duration.h"
#include "planner/ids.h"

namespace kartograph::scheduler {

using planner::Quantity;
using planner::Resource;

namespace {

// How many holders fit into a line, and tasks and constraints into an enumeration.
constexpr size_t kHoldersInLine = 2;
constexpr size_t kTasksInLine = 3;
constexpr size_t kConstraintsInLine = 3;

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string Quoted(const NamedTask& task) { return absl::StrCat("\"", task.name, "\""); }

std::string AndMore(int64_t count, size_t named) {
  const int64_t more = count - static_cast<int64_t>(named);
  return more > 0 ? absl::StrCat(" and ", more, " more") : "";
}

std::string About(absl::Duration duration) {
  return absl::StrCat("about ", FormatElapsed(absl::Ceil(duration, absl::Seconds(1))));
}

std::string For(absl::Time since, absl::Time now) {
  return absl::StrCat("for ", FormatElapsed(std::max(now - since, absl::ZeroDuration())));
}

std::string Ends(const std::optional<absl::Duration>& remaining) {
  return remaining ? absl::StrCat("expected to end in ", About(*remaining))
                   : "until when is not known";
}

std::string HeldBy(const Holders& holders, std::optional<Resource> resource) {
  if (holders.count == 0) return "";
  std::vector<std::string> words;
  for (const Holder& holder : holders.first) {
    if (words.size() == kHoldersInLine) break;
    words.push_back(resource ? absl::StrCat(NameOf(holder.task), " (",
                                            FormatQuantity(*resource, holder.quantity), ")")
                             : NameOf(holder.task));
  }
  return absl::StrCat(absl::StrJoin(words, ", "), AndMore(holders.count, words.size()));
}

// What of a pool is free, in words.
std::string FreeOf(Quantity free, Quantity capacity) {
  // A pool that was made smaller may be used over its capacity for a while.
  return free < Quantity()
             ? absl::StrCat((capacity - free).ToString(), " of ", capacity.ToString(), " in use")
             : absl::StrCat(free.ToString(), " of ", capacity.ToString(), " free");
}

struct Line {
  std::string operator()(const WaitsForTasks& waits) const {
    std::vector<std::string> names;
    for (const Dependency& dependency : waits.tasks) {
      if (names.size() == kTasksInLine) break;
      names.push_back(Quoted(dependency.task));
    }
    return absl::StrCat("waits for ", absl::StrJoin(names, ", "),
                        AndMore(waits.count, names.size()));
  }
  std::string operator()(const AboutToStart&) const { return "is about to be started"; }
  std::string operator()(const AboutToBeReady&) const { return "is about to become ready"; }
  std::string operator()(const BacksOff& back_off) const {
    return absl::StrCat(
        "waits until ", Utc(back_off.until),
        back_off.attempt > 0
            ? absl::StrCat(" to be tried again (attempt ", back_off.attempt, " of ",
                           back_off.max_attempts, back_off.retried ? " since it was retried)" : ")")
            : " to be launched again");
  }
  std::string operator()(const ServiceStops&) const {
    return "the service is stopping and launches nothing";
  }
  std::string operator()(const ClusterAway& away) const {
    return absl::StrCat("waits for the cluster: it is not connected",
                        away.reason.empty() ? "" : ": ", away.reason);
  }
  std::string operator()(const NothingOffered&) const {
    return "waits for the cluster: it has offered nothing yet";
  }
  std::string operator()(const AtLimit& limit) const {
    const planner::AtCap& at = limit.at;
    const std::string whose = limit.of_graph ? "its graph's limit"
                              : limit.account.empty()
                                  ? "its user's limit"
                                  : absl::StrCat("the limit of ", limit.account);
    if (!at.resource) {
      return absl::StrCat("waits for ", whose, ": ", at.held.ToString(), " of ", at.most.ToString(),
                          " tasks run");
    }
    const auto text = [&at](Quantity quantity) { return FormatQuantity(*at.resource, quantity); };
    return absl::StrCat("waits for ", whose, " of ", at.resource->name(), ": needs ", text(at.need),
                        ", ", text(at.held), " of ", text(at.most), " in use");
  }
  std::string operator()(const PoolShort& pool) const {
    return absl::StrCat("waits for pool ", pool.pool.name(), ": needs ", pool.need.ToString(), ", ",
                        FreeOf(pool.free, pool.capacity),
                        pool.holders.count > 0 ? ", held by " : "",
                        HeldBy(pool.holders, pool.pool));
  }
  std::string operator()(const PoolKept& pool) const {
    return absl::StrCat("waits for pool ", pool.pool.name(), ": needs ", pool.need.ToString(), ", ",
                        FreeOf(pool.free, pool.capacity), ", but kept for ", NameOf(pool.kept_for),
                        ", which goes first");
  }
  std::string operator()(const NeverFits& never) const {
    if (never.is_pool) {
      return absl::StrCat("can never run: it needs ", never.need.Get(*never.resource).ToString(),
                          " of pool ", never.resource->name(), ", which holds ",
                          never.most.ToString());
    }
    if (!never.resource) {
      return absl::StrCat("can never run as things are: no single agent has ",
                          never.need.ToString(), " together");
    }
    return absl::StrCat("can never run as things are: it needs ", never.resource->name(), "=",
                        FormatQuantity(*never.resource, never.need.Get(*never.resource)),
                        ", and no agent ever had more than ",
                        FormatQuantity(*never.resource, never.most));
  }
  std::string operator()(const NoAgent& why) const;
  std::string operator()(const AgentReserved& reserved) const {
    return absl::StrCat("agent ", reserved.agent, " is kept for it");
  }
  std::string operator()(const PoolsReserved&) const { return "what it lacks is kept for it"; }
  std::string operator()(const LaunchedAlone& alone) const {
    return absl::StrCat("is launched alone, as its agent was lost with it ", alone.losses,
                        " times");
  }
  std::string operator()(const AvoidsAgent& avoids) const {
    return absl::StrCat(avoids.not_started ? "its program could not be started on agent "
                                           : "its last attempt failed on agent ",
                        avoids.agent, ", so it waits for another one");
  }
  std::string operator()(const InAgentBacklog& waits) const {
    return absl::StrCat("waits on agent ", waits.agent, " for its turn");
  }
  std::string operator()(const BeingStarted&) const { return "is being started"; }
  std::string operator()(const BeingCancelled&) const { return "is being cancelled"; }
  std::string operator()(const FateUnknown& away) const {
    return absl::StrCat("its cluster is not connected",
                        away.runs ? "" : "; what became of it is not known yet",
                        away.reason.empty() ? "" : ": ", away.reason);
  }
  std::string operator()(const EndedInVain& in_vain) const {
    return absl::StrCat(in_vain.attempts, " attempts have ended without its doing, the last one ",
                        in_vain.last);
  }
  std::string operator()(const RunsWith& runs) const { return runs.note; }
  std::string operator()(const OutOfReach& away) const {
    return absl::StrCat("its agent cannot be reached since ", Utc(away.since),
                        "; whether it runs is not known");
  }
  std::string operator()(const IsRunning&) const { return ""; }
};

bool SeveralAgents(const NoAgent& why) {
  int64_t agents = 0;
  for (const auto& [obstacle, count] : why.agents) {
    if (obstacle != AgentObstacle::kAway && obstacle != AgentObstacle::kTooSmall &&
        obstacle != AgentObstacle::kConstraint) {
      agents += count;
    }
  }
  return agents > 1;
}

std::string Lacks(const NoAgent& why) {
  const NoAgent::Agent& agent = *why.best;
  const NoAgent::Shortage& first = agent.shortages.front();
  std::vector<std::string> names, free;
  for (const NoAgent::Shortage& shortage : agent.shortages) {
    names.emplace_back(shortage.resource.name());
  }
  return absl::StrCat("waits for ", absl::StrJoin(names, " and "), ": needs ",
                      FormatQuantity(first.resource, first.need), "; agent ", agent.name,
                      SeveralAgents(why) ? ", where it is expected to fit first, has " : " has ",
                      FormatQuantity(first.resource, std::max(first.free, Quantity())), " of ",
                      FormatQuantity(first.resource, first.capacity), " free",
                      agent.holders.count > 0 ? ", held by " : "",
                      HeldBy(agent.holders, first.resource));
}

std::string FirstConstraints(const NoAgent& why) {
  std::vector<absl::string_view> words;
  for (const auto& [constraint, agents] : why.constraints) {
    if (words.size() < kConstraintsInLine) words.emplace_back(constraint);
  }
  return absl::StrCat(absl::StrJoin(words, ", "), AndMore(why.constraints.size(), words.size()));
}

std::string Line::operator()(const NoAgent& why) const {
  const std::string free_at_once = absl::StrCat(why.need.ToString(), " free at once");
  if (!why.best) {
    return absl::StrCat("waits for an agent with ", why.need.ToString(), ": none is connected");
  }
  const NoAgent::Agent& agent = *why.best;
  switch (agent.obstacle) {
    case AgentObstacle::kLacks:
      if (agent.shortages.empty()) break;
      return Lacks(why);
    case AgentObstacle::kNotOffered:
      return absl::StrCat("waits for an offer of an agent with ", free_at_once);
    case AgentObstacle::kFailing:
      return absl::StrCat(
          "waits for agent ", agent.name,
          agent.suspected ? ", where " : ", which could not start an attempt: ", agent.failure,
          agent.set_aside_until
              ? absl::StrCat("; it is tried again at ", Utc(*agent.set_aside_until))
              : "; one attempt is tried at a time");
    case AgentObstacle::kLeaves:
      return absl::StrCat("waits for another agent: ", agent.name,
                          " is about to be taken away for maintenance at ",
                          Utc(agent.unavailable_from), ", and this is expected to run for ",
                          absl::FormatDuration(absl::Trunc(agent.expected, absl::Seconds(1))));
    case AgentObstacle::kNoSlot:
      return absl::StrCat("waits for a slot: agent ", agent.name, " runs ", agent.holders.count,
                          " attempts, as many as it may (kartographd --slots)");
    case AgentObstacle::kSpread:
      return absl::StrCat("waits for an agent with less of group \"", agent.spread.group,
                          "\", of which at most ", agent.spread.per_agent, " may be on each; on ",
                          agent.name, ": ", HeldBy(agent.holders, std::nullopt));
    case AgentObstacle::kAlone:
      return absl::StrCat("waits for agent ", agent.name,
                          agent.kept_for
                              ? absl::StrCat(", where ", NameOf(*agent.kept_for),
                                             " runs alone, as its agent was lost with it before")
                              : ", which is kept free for a task that is launched alone");
    case AgentObstacle::kKept:
      return absl::StrCat("waits for agent ", agent.name, ", which is kept for ",
                          agent.kept_for ? NameOf(*agent.kept_for) : "another task",
                          ", as that goes first");
    case AgentObstacle::kBusy:
      return absl::StrCat("waits for an agent that runs nothing else; ", agent.name, " runs ",
                          HeldBy(agent.holders, std::nullopt));
    case AgentObstacle::kClosed:
      return absl::StrCat("waits for agent ", agent.name, ", which ", agent.failure);
    case AgentObstacle::kAvoided:
      return absl::StrCat("waits for another agent than ", agent.name,
                          ", where its last attempt failed");
    case AgentObstacle::kConstraint:
      return absl::StrCat("waits for an agent that meets its constraints: ", FirstConstraints(why));
    case AgentObstacle::kAway:
    case AgentObstacle::kTooSmall:
    case AgentObstacle::kNone:
      break;
  }
  return absl::StrCat(
      why.leases ? "waits for an agent with " : "waits for an offer of an agent with ",
      free_at_once);
}

// --- all of it ---

absl::string_view WhyOut(AgentObstacle obstacle) {
  switch (obstacle) {
    case AgentObstacle::kNone:
      return "could have it";
    case AgentObstacle::kAway:
      return "not connected";
    case AgentObstacle::kAvoided:
      return "where its last attempt failed";
    case AgentObstacle::kTooSmall:
      return "too small";
    case AgentObstacle::kNotOffered:
      return "without an offer";
    case AgentObstacle::kFailing:
      return "set aside, as attempts failed there by its own fault";
    case AgentObstacle::kAlone:
      return "kept for one task alone";
    case AgentObstacle::kNoSlot:
      return "without a free slot";
    case AgentObstacle::kLacks:
      return "with too little free";
    case AgentObstacle::kLeaves:
      return "about to be taken away for maintenance";
    case AgentObstacle::kKept:
      return "kept for what goes first";
    case AgentObstacle::kBusy:
      return "running something else";
    case AgentObstacle::kClosed:
      return "of which its cluster offers nothing";
    case AgentObstacle::kConstraint:
      return "ruled out by its constraints";
    case AgentObstacle::kSpread:
      return "with as many of its group as may be";
  }
  return "";
}

void AddHolders(const Holders& holders, std::optional<Resource> resource, absl::Time now,
                std::vector<std::string>& sentences) {
  for (const Holder& holder : holders.first) {
    sentences.push_back(absl::StrCat(
        NameOf(holder.task), resource ? " holds " : " is ",
        resource ? absl::StrCat(FormatQuantity(*resource, holder.quantity), " ") : "", "on agent ",
        holder.agent, " ", For(holder.since, now), ", ", Ends(holder.remaining)));
  }
  const int64_t more = holders.count - static_cast<int64_t>(holders.first.size());
  if (more > 0) {
    sentences.push_back(absl::StrCat(more, more == 1 ? " other task holds" : " other tasks hold",
                                     resource ? " less or as much" : " a place there"));
  }
}

std::string InWords(const Dependency& dependency, absl::Time now) {
  if (dependency.since == absl::InfinitePast()) {
    return absl::StrCat(Quoted(dependency.task), " is ", planner::ToString(dependency.state));
  }
  return absl::StrCat(Quoted(dependency.task), " is ", planner::ToString(dependency.state),
                      " on agent ", dependency.agent, " ", For(dependency.since, now), ", ",
                      Ends(dependency.remaining));
}

void AddDetails(const Reason& reason, absl::Time now, std::vector<std::string>& sentences) {
  if (const auto* waits = std::get_if<WaitsForTasks>(&reason)) {
    for (const Dependency& dependency : waits->tasks) {
      sentences.push_back(InWords(dependency, now));
    }
    if (waits->root) {
      sentences.push_back(
          absl::StrCat("at the beginning of that chain, ", InWords(*waits->root, now)));
    }
  } else if (const auto* pool = std::get_if<PoolShort>(&reason)) {
    AddHolders(pool->holders, pool->pool, now, sentences);
  } else if (const auto* agent = std::get_if<NoAgent>(&reason)) {
    if (agent->best) {
      const NoAgent::Agent& best = *agent->best;
      for (const NoAgent::Shortage& shortage : best.shortages) {
        sentences.push_back(
            absl::StrCat("of ", shortage.resource.name(), ", ",
                         FormatQuantity(shortage.resource, shortage.need - shortage.free),
                         " more is needed on agent ", best.name));
      }
      AddHolders(
          best.holders,
          best.shortages.empty() ? std::nullopt : std::optional(best.shortages.front().resource),
          now, sentences);
    }
    int64_t all = 0;
    std::vector<std::string> words;
    for (const auto& [obstacle, count] : agent->agents) {
      all += count;
      words.push_back(absl::StrCat(count, " ", WhyOut(obstacle)));
    }
    if (all > 1) {
      sentences.push_back(absl::StrCat("of ", all, " agents: ", absl::StrJoin(words, ", ")));
    }
    for (const auto& [constraint, count] : agent->constraints) {
      if (count == 0) continue;
      sentences.push_back(absl::StrCat("that ", constraint, " rules out ", count,
                                       count == 1 ? " agent" : " agents"));
    }
  }
}

std::string WhyFirst(const Ahead::Task& task) {
  switch (task.by) {
    case GoesFirstBy::kShare:
      return absl::StrCat(task.account.empty() ? "its user" : task.account,
                          " holds less of what is due");
    case GoesFirstBy::kPriority:
      return absl::StrCat("priority ", task.priority);
    case GoesFirstBy::kGraph:
      return "its graph is older or nearer to its end";
    case GoesFirstBy::kPath:
      return "more comes after it";
    case GoesFirstBy::kAge:
      return "it was submitted earlier";
  }
  return "";
}

}  // namespace

std::string NameOf(const NamedTask& task) {
  if (task.name.empty()) return "another task";
  return absl::StrCat(Quoted(task), " of ", planner::GraphIdToString(task.task.graph()));
}

std::string FormatQuantity(Resource resource, Quantity quantity) {
  return resource == Resource::Ram() ? planner::FormatBytes(quantity) : quantity.ToString();
}

std::string OneLine(absl::Span<const Reason> reasons) {
  const bool cancelled = std::any_of(reasons.begin(), reasons.end(), [](const Reason& reason) {
    return std::holds_alternative<BeingCancelled>(reason);
  });
  std::string line;
  for (const Reason& reason : reasons) {
    // That it is being cancelled says enough of what begins.
    if (cancelled && std::holds_alternative<BeingStarted>(reason)) continue;
    const std::string words = std::visit(Line(), reason);
    absl::StrAppend(&line, line.empty() || words.empty() ? "" : "; ", words);
  }
  return line;
}

std::vector<std::string> Sentences(const Explanation& explanation, absl::Time now) {
  std::vector<std::string> sentences;
  for (const Reason& reason : explanation.reasons) {
    if (const auto* running = std::get_if<IsRunning>(&reason)) {
      sentences.push_back(absl::StrCat("runs on agent ", running->agent, " ",
                                       For(running->since, now), " (attempt ", running->attempt,
                                       "), ", Ends(running->remaining)));
      continue;
    }
    sentences.push_back(std::visit(Line(), reason));
    AddDetails(reason, now, sentences);
  }
  const Ahead& ahead = explanation.ahead;
  if (ahead.count > 0) {
    std::vector<std::string> words;
    for (const Ahead::Task& task : ahead.first) {
      words.push_back(absl::StrCat(NameOf(task.task), " (", WhyFirst(task), ")"));
    }
    sentences.push_back(absl::StrCat(
        ahead.at_least ? "at least " : "", ahead.count,
        ahead.count == 1 ? " task goes first: " : " tasks go first: ", absl::StrJoin(words, ", "),
        AndMore(ahead.count, words.size())));
  }
  const bool waiting = explanation.state == planner::TaskState::kWaiting;
  if (explanation.expected.within) {
    sentences.push_back(
        absl::StrCat(waiting ? "is expected to become ready in " : "is expected to start in ",
                     About(*explanation.expected.within)));
  } else if (!explanation.expected.unknown.empty()) {
    sentences.push_back(
        absl::StrCat("when it starts is not known: ", explanation.expected.unknown));
  }
  return sentences;
}

}  // namespace kartograph::scheduler
