#include "service/convert.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/exec_limits.h"
#include "base/utf8.h"
#include "executor/payload.pb.h"
#include "planner/names.h"
#include "planner/resources.h"
#include "service/convert_constraints.h"
#include "service/convert_details.h"
#include "service/task_inputs.h"

namespace kartograph::service {
namespace {

constexpr size_t kMaxRequestIdLength = 128;
constexpr size_t kMaxImageLength = 1024;
constexpr int32_t kMaxAttempts = 1000;
constexpr int64_t kMaxDurationSeconds = 315'576'000'000;  // as google.protobuf.Duration says
// 0001-01-01 and the end of 9999, as google.protobuf.Timestamp says.
constexpr int64_t kFirstTimestamp = -62'135'596'800;
constexpr int64_t kLastTimestamp = 253'402'300'799;

constexpr absl::string_view kTokenRule =
    "is not a token of this list; give the next_page_token of the previous answer, or nothing for "
    "the first page";

bool HasNul(absl::string_view text) { return text.find('\0') != absl::string_view::npos; }

void CheckNoNul(absl::string_view text, std::string field, ProblemList& problems) {
  if (HasNul(text)) {
    problems.Add(std::move(field), text,
                 "holds a zero byte, which no program can be given; leave it out");
  }
}

void CheckPath(absl::string_view path, const std::string& field, ProblemList& problems) {
  CheckNoNul(path, field, problems);
  if (std::string problem = PathProblem(path.size()); !problem.empty()) {
    problems.Add(field, path, std::move(problem));
  }
}

// Whether the kernel can hand the command over. The text of `shell` may have any length, as it can
// be a file instead, but for one in a container, into which nothing can be put, and one of which
// nobody knows how its program takes a file.
void CheckExecLimits(const v1::Command& command, bool in_container, absl::string_view field,
                     ProblemList& problems) {
  size_t total = 0;
  const auto add = [&](size_t bytes, const auto& at) {
    total += bytes + kExecStringOverhead;
    if (bytes > kMaxExecString) problems.Add(at(), "", ExecStringProblem(bytes));
  };
  for (int i = 0; i < command.arguments_size(); ++i) {
    add(command.arguments(i).size(), [&] { return absl::StrCat(field, ".arguments[", i, "]"); });
  }
  const int words = command.arguments_size();
  if (in_container || (words > 0 && !OptionBeforeFile(command.arguments(words - 1)))) {
    add(command.shell().size(), [&] { return absl::StrCat(field, ".shell"); });
  }
  for (const auto& [name, value] : command.environment()) {
    add(name.size() + 1 + value.size(), [&, &name = name] {
      return absl::StrCat(field, ".environment[\"", absl::Utf8SafeCHexEscape(name), "\"]");
    });
  }
  if (total > kMaxExecBytes) problems.Add(std::string(field), "", ExecBytesProblem(total));
}

void CheckEnvironment(const google::protobuf::Map<std::string, std::string>& environment,
                      absl::string_view field, ProblemList& problems) {
  for (const auto& [name, value] : environment) {
    const std::string at =
        absl::StrCat(field, ".environment[\"", absl::Utf8SafeCHexEscape(name), "\"]");
    if (name.empty()) {
      problems.Add(at, name, "the name of a variable must not be empty");
    } else if (absl::StrContains(name, '=')) {
      problems.Add(at, name, "the name of a variable must not hold '='");
    } else if (absl::StartsWith(name, "KARTOGRAPH_")) {
      problems.Add(at, name, "names that start with KARTOGRAPH_ are reserved; choose another");
    }
    CheckNoNul(name, at, problems);
    CheckNoNul(value, at, problems);
  }
}

void ConvertContainer(const v1::Container& container, absl::string_view field,
                      executor::Container& converted, ProblemList& problems) {
  const bool bad_image =
      std::any_of(container.image().begin(), container.image().end(),
                  [](unsigned char c) { return absl::ascii_isspace(c) || absl::ascii_iscntrl(c); });
  if (bad_image || container.image().size() > kMaxImageLength) {
    problems.Add(absl::StrCat(field, ".image"), container.image(),
                 absl::StrCat("must be the name of an image such as alpine:3, without blanks and "
                              "of at most ",
                              kMaxImageLength, " bytes"));
  }
  converted.set_image(container.image());
  absl::flat_hash_set<absl::string_view> places;
  for (int i = 0; i < container.volumes_size(); ++i) {
    const v1::Container::Volume& volume = container.volumes(i);
    const std::string at = absl::StrCat(field, ".volumes[", i, "]");
    if (!absl::StartsWith(volume.host_path(), "/")) {
      problems.Add(absl::StrCat(at, ".host_path"), volume.host_path(),
                   "must be an absolute path on the agent's host");
    }
    const std::vector<absl::string_view> parts = absl::StrSplit(volume.container_path(), '/');
    if (volume.container_path().empty()) {
      problems.Add(absl::StrCat(at, ".container_path"), "",
                   "is empty: say where in the container the volume is to be");
    } else if (std::find(parts.begin(), parts.end(), "..") != parts.end()) {
      problems.Add(absl::StrCat(at, ".container_path"), volume.container_path(),
                   "must not lead upwards with \"..\"");
    } else if (!places.insert(volume.container_path()).second) {
      problems.Add(absl::StrCat(at, ".container_path"), volume.container_path(),
                   "is the place of two volumes; give each its own");
    }
    CheckPath(volume.host_path(), absl::StrCat(at, ".host_path"), problems);
    CheckPath(volume.container_path(), absl::StrCat(at, ".container_path"), problems);
    executor::Container::Volume& added = *converted.add_volumes();
    added.set_host_path(volume.host_path());
    added.set_container_path(volume.container_path());
    added.set_read_only(volume.read_only());
  }
}

std::string ConvertCommand(const v1::TaskSpec& spec, absl::string_view task,
                           ProblemList& problems) {
  const std::string field = absl::StrCat(task, ".command");
  const v1::Command& command = spec.command();
  const bool has_arguments = command.arguments_size() > 0;
  const bool has_shell = !command.shell().empty();
  if (!has_arguments && !has_shell) {
    problems.Add(field, "", "is empty: give either `arguments` or `shell`");
  } else if (has_arguments && command.arguments(0).empty()) {
    problems.Add(absl::StrCat(field, ".arguments[0]"), "",
                 "is empty: the first argument is the program to run");
  } else if (has_shell && absl::StripAsciiWhitespace(command.shell()).empty()) {
    problems.Add(absl::StrCat(field, ".shell"), command.shell(),
                 "is blank: give a line for the shell");
  }
  for (int i = 0; i < command.arguments_size(); ++i) {
    if (HasNul(command.arguments(i))) {
      CheckNoNul(command.arguments(i), absl::StrCat(field, ".arguments[", i, "]"), problems);
    }
  }
  CheckNoNul(command.shell(), absl::StrCat(field, ".shell"), problems);
  CheckEnvironment(command.environment(), field, problems);
  CheckExecLimits(command, spec.has_container(), field, problems);
  if (!command.directory().empty() && command.directory()[0] != '/') {
    problems.Add(absl::StrCat(field, ".directory"), command.directory(),
                 "must be an absolute path, or left out for the attempt's own folder");
  }
  CheckPath(command.directory(), absl::StrCat(field, ".directory"), problems);
  if (command.worker() && (!has_arguments || has_shell)) {
    problems.Add(absl::StrCat(field, ".worker"), "true",
                 "is for a program that is given as `arguments`: a shell cannot be a worker");
  }

  // Most are small, and there may be millions: then none of their parts is allocated alone.
  alignas(8) char block[1024];
  google::protobuf::ArenaOptions options;
  options.initial_block = block;
  options.initial_block_size = sizeof(block);
  google::protobuf::Arena arena(options);
  auto& payload = *google::protobuf::Arena::CreateMessage<executor::Payload>(&arena);
  *payload.mutable_arguments() = command.arguments();
  payload.set_shell(command.shell());
  *payload.mutable_environment() = command.environment();
  payload.set_directory(command.directory());
  payload.set_worker(command.worker());
  payload.set_reads_values(spec.reads_values());
  if (spec.has_container()) {
    ConvertContainer(spec.container(), absl::StrCat(task, ".container"),
                     *payload.mutable_container(), problems);
  }
  ConvertInputs(spec, task, payload, problems);
  return payload.SerializeAsString();
}

void SetQuantity(const std::string& field, const std::string& name, double units,
                 planner::ResourceNames& names, planner::ResourceVector& vector,
                 ProblemList& problems) {
  const absl::StatusOr<planner::Quantity> quantity = planner::Quantity::FromUnits(units);
  if (!quantity.ok()) {
    problems.Add(field, absl::StrCat(units), std::string(quantity.status().message()));
    return;
  }
  const absl::StatusOr<planner::Resource> resource = names.Intern(name);
  if (!resource.ok()) {
    problems.Add(field, name, std::string(resource.status().message()));
    return;
  }
  vector.Set(*resource, *quantity);
}

planner::ResourceVector ConvertConsumption(const v1::TaskSpec& spec, absl::string_view task,
                                           planner::ResourceNames& names, ProblemList& problems) {
  planner::ResourceVector consumption;
  consumption.Set(planner::Resource::Cpu(), planner::Quantity::Of(1));
  for (const auto& [name, units] : spec.consumption()) {
    SetQuantity(absl::StrCat(task, ".consumption[\"", absl::Utf8SafeCHexEscape(name), "\"]"), name,
                units, names, consumption, problems);
  }
  return consumption;
}

void ConvertTimes(const v1::TaskSpec& spec, absl::string_view task, planner::TaskPolicy& policy,
                  absl::Duration& expected, ProblemList& problems) {
  if (spec.has_timeout()) {
    const std::string field = absl::StrCat(task, ".timeout");
    policy.timeout = ConvertDuration(spec.timeout(), field, absl::InfiniteDuration(), problems);
    if (policy.timeout == absl::ZeroDuration()) {
      problems.Add(field, "0", "must be longer than 0; leave it out for no limit");
    }
  }
  if (spec.has_retry_delay()) {
    policy.retry_delay = ConvertDuration(spec.retry_delay(), absl::StrCat(task, ".retry_delay"),
                                         policy.retry_delay, problems);
  }
  if (spec.has_max_retry_delay()) {
    const std::string field = absl::StrCat(task, ".max_retry_delay");
    const size_t before = problems.size();
    policy.max_retry_delay =
        ConvertDuration(spec.max_retry_delay(), field, policy.max_retry_delay, problems);
    if (problems.size() == before && policy.max_retry_delay < policy.retry_delay) {
      problems.Add(field, absl::FormatDuration(policy.max_retry_delay),
                   absl::StrCat("must not be shorter than retry_delay, which is ",
                                absl::FormatDuration(policy.retry_delay)));
    }
  } else {
    policy.max_retry_delay = std::max(policy.max_retry_delay, policy.retry_delay);
  }
  if (spec.has_expected_duration()) {
    const std::string field = absl::StrCat(task, ".expected_duration");
    const size_t before = problems.size();
    expected = ConvertDuration(spec.expected_duration(), field, absl::ZeroDuration(), problems);
    if (problems.size() == before && expected == absl::ZeroDuration()) {
      problems.Add(field, "0", "must be longer than 0; leave it out where it is not known");
    }
    // It is stored in microseconds.
    if (expected > absl::ZeroDuration()) expected = std::max(expected, absl::Microseconds(1));
  }
  if (spec.has_cancel_grace()) {
    policy.cancel_grace = ConvertDuration(spec.cancel_grace(), absl::StrCat(task, ".cancel_grace"),
                                          policy.cancel_grace, problems);
  }
  if (spec.has_unreachable_timeout()) {
    policy.unreachable_timeout =
        ConvertDuration(spec.unreachable_timeout(), absl::StrCat(task, ".unreachable_timeout"),
                        absl::InfiniteDuration(), problems);
  }
}

void ConvertFailures(const google::protobuf::RepeatedPtrField<std::string>& words,
                     const std::string& field, planner::FailureSet& set, ProblemList& problems) {
  for (int i = 0; i < words.size(); ++i) {
    if (absl::Status status = set.Add(words[i]); !status.ok()) {
      problems.Add(absl::StrCat(field, "[", i, "]"), words[i], std::string(status.message()));
    }
  }
}

}  // namespace

bool CheckName(absl::string_view name, std::string field, ProblemList& problems) {
  std::string problem = planner::NameProblem(name);
  if (problem.empty()) return true;
  problems.Add(std::move(field), name, std::move(problem));
  return false;
}

void CheckRequestId(absl::string_view request_id, ProblemList& problems) {
  if (request_id.size() > kMaxRequestIdLength) {
    problems.Add("request_id", request_id,
                 absl::StrCat("has ", request_id.size(), " bytes; at most ", kMaxRequestIdLength,
                              " are allowed, a random UUID is best"));
  }
  CheckNoNul(request_id, "request_id", problems);
}

absl::Duration ConvertDuration(const google::protobuf::Duration& duration, std::string field,
                               absl::Duration fallback, ProblemList& problems) {
  const int64_t seconds = duration.seconds();
  const int32_t nanos = duration.nanos();
  const bool is_valid = seconds >= -kMaxDurationSeconds && seconds <= kMaxDurationSeconds &&
                        nanos > -1'000'000'000 && nanos < 1'000'000'000 &&
                        (seconds == 0 || nanos == 0 || (seconds > 0) == (nanos > 0));
  const std::string shown = absl::StrCat("seconds: ", seconds, " nanos: ", nanos);
  if (!is_valid) {
    problems.Add(std::move(field), shown,
                 "is not a duration: seconds and nanos must have the same sign, nanos be below "
                 "10^9 and seconds at most 315,576,000,000");
    return fallback;
  }
  if (seconds < 0 || nanos < 0) {
    problems.Add(std::move(field), shown, "must not be negative");
    return fallback;
  }
  return absl::Seconds(seconds) + absl::Nanoseconds(nanos);
}

absl::Time ConvertTime(const google::protobuf::Timestamp& time, std::string field,
                       ProblemList& problems) {
  if (time.seconds() >= kFirstTimestamp && time.seconds() <= kLastTimestamp && time.nanos() >= 0 &&
      time.nanos() < 1'000'000'000) {
    return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
  }
  problems.Add(std::move(field),
               absl::StrCat("seconds: ", time.seconds(), " nanos: ", time.nanos()),
               "is not a time: it must be in the years 1 to 9999, with nanos of 0 to 999,999,999");
  return absl::UnixEpoch();
}

planner::Cap ConvertLimits(const google::protobuf::Map<std::string, double>& limits,
                           absl::string_view graph, planner::ResourceNames& names,
                           ProblemList& problems) {
  planner::Cap cap;
  for (const auto& [name, most] : limits) {
    const std::string field =
        absl::StrCat(graph, ".limits[\"", absl::Utf8SafeCHexEscape(name), "\"]");
    if (name == planner::Cap::kRunning) {
      if (!(most >= 1 && most <= planner::Cap::kMostRunning) || most != std::floor(most)) {
        problems.Add(field, absl::StrCat(most),
                     absl::StrCat("must be a whole number from 1 to ", planner::Cap::kMostRunning));
        continue;
      }
      cap.running = static_cast<int64_t>(most);
      continue;
    }
    SetQuantity(field, name, most, names, cap.resources, problems);
    if (most == 0) problems.Add(field, "0", "must be more than 0; leave it out for no limit");
  }
  return cap;
}

scheduler::GraphSubmission ConvertGraph(const v1::GraphSpec& spec, absl::string_view field,
                                        planner::ResourceNames& names, ProblemList& problems) {
  if (std::string problem = planner::GraphNameProblem(spec.name()); !problem.empty()) {
    problems.Add(absl::StrCat(field, ".name"), spec.name(), std::move(problem));
  }
  if (!spec.client_queue().empty()) {
    CheckName(spec.client_queue(), absl::StrCat(field, ".client_queue"), problems);
  }
  scheduler::GraphSubmission graph;
  graph.name = spec.name();
  graph.client_queue = spec.client_queue();
  graph.fail_fast = spec.fail_fast();
  graph.open = spec.open();
  if (spec.has_open_until_idle()) {
    const std::string at = absl::StrCat(field, ".open_until_idle");
    graph.open_until_idle =
        ConvertDuration(spec.open_until_idle(), at, graph.open_until_idle, problems);
    if (!spec.open()) {
      problems.Add(at, absl::FormatDuration(graph.open_until_idle),
                   "is for open graphs; set `open` as well");
    } else if (graph.open_until_idle < absl::Seconds(1)) {
      problems.Add(at, absl::FormatDuration(graph.open_until_idle), "must be at least 1 s");
    }
  }
  graph.deliver_end = spec.deliver_end();
  if (spec.deliver_end() && spec.client_queue().empty()) {
    problems.Add(absl::StrCat(field, ".deliver_end"), "true",
                 "needs a `client_queue` to deliver to");
  }
  if (!spec.share().empty()) {
    if (std::string problem = planner::ShareNameProblem(spec.share()); !problem.empty()) {
      problems.Add(absl::StrCat(field, ".share"), spec.share(), std::move(problem));
    }
    graph.share = spec.share();
  }
  graph.cap = ConvertLimits(spec.limits(), field, names, problems);
  graph.labels = ConvertLabels(spec.labels());
  graph.details = ConvertDetails(spec, field, problems);
  return graph;
}

std::string TaskField(const v1::TaskSpec& spec, int64_t index) {
  return planner::NameProblem(spec.name()).empty() ? absl::StrCat("tasks[\"", spec.name(), "\"]")
                                                   : absl::StrCat("tasks[", index, "]");
}

void SetDefaultRam(const v1::TaskSpec& spec, planner::Quantity ram,
                   scheduler::TaskSubmission& task) {
  const planner::Resource name = planner::Resource::Ram();
  if (!ram.is_zero() && !spec.consumption().contains(std::string(name.name()))) {
    task.consumption.Set(name, ram);
  }
}

void RefuseContainer(const v1::TaskSpec& spec, absl::string_view field, ProblemList& problems) {
  if (!spec.has_container()) return;
  problems.Add(absl::StrCat(field, ".container"), spec.container().image(),
               "this cluster has no containers: leave it out, or run kartographd with --cluster "
               "mesos:...");
}

scheduler::TaskSubmission ConvertTask(const v1::TaskSpec& spec, absl::string_view field,
                                      planner::ResourceNames& names, ProblemList& problems) {
  if (!spec.name().empty()) CheckName(spec.name(), absl::StrCat(field, ".name"), problems);
  scheduler::TaskSubmission submission;
  submission.name = spec.name();
  submission.payload = ConvertCommand(spec, field, problems);
  submission.blobs = BlobsOf(spec);
  submission.consumption = ConvertConsumption(spec, field, names, problems);
  submission.after.assign(spec.after().begin(), spec.after().end());
  ConvertTimes(spec, field, submission.policy, submission.expected_duration, problems);
  if (spec.max_attempts() < 0 || spec.max_attempts() > kMaxAttempts) {
    problems.Add(absl::StrCat(field, ".max_attempts"), absl::StrCat(spec.max_attempts()),
                 absl::StrCat("must be 1 to ", kMaxAttempts, ", or 0 for the default of 1"));
  }
  submission.policy.max_attempts = std::max(spec.max_attempts(), 1);
  if (spec.max_losses() < 0 || spec.max_losses() > kMaxAttempts) {
    problems.Add(absl::StrCat(field, ".max_losses"), absl::StrCat(spec.max_losses()),
                 absl::StrCat("must be 1 to ", kMaxAttempts, ", or 0 for the default of 5"));
  } else if (spec.max_losses() > 0) {
    submission.policy.max_losses = spec.max_losses();
  }
  ConvertFailures(spec.retry_on(), absl::StrCat(field, ".retry_on"), submission.policy.retry.on,
                  problems);
  ConvertFailures(spec.no_retry_on(), absl::StrCat(field, ".no_retry_on"),
                  submission.policy.retry.not_on, problems);
  submission.policy.constraints = ConvertConstraints(spec, field, problems);
  submission.policy.spread = ConvertSpread(spec, field, problems);
  submission.policy.avoid_last_failure = spec.avoid_last_failure();
  submission.policy.preemptible = spec.preemptible();
  submission.priority = spec.priority();
  submission.details = ConvertDetails(spec, field, problems);
  return submission;
}

planner::GraphId ConvertGraphId(absl::string_view text, ProblemList& problems) {
  const std::optional<planner::GraphId> graph = planner::ParseGraphId(text);
  if (graph) return *graph;
  problems.Add("graph_id", text, "is not the id of a graph; those look like g17");
  return 0;
}

void CheckAttemptNumber(int32_t number, ProblemList& problems) {
  if (number >= 0 && number <= static_cast<int32_t>(planner::kMaxLaunches)) return;
  problems.Add("attempt", absl::StrCat(number),
               absl::StrCat("must be 1 to ", planner::kMaxLaunches, ", or 0 for the last one"));
}

int ConvertPageSize(int32_t page_size, ProblemList& problems) {
  if (page_size < 0 || page_size > kMaxPageSize) {
    problems.Add("page_size", absl::StrCat(page_size),
                 absl::StrCat("must be 1 to ", kMaxPageSize, ", or 0 for the default of ",
                              kDefaultPageSize));
  }
  return page_size == 0 ? kDefaultPageSize : page_size;
}

std::string MakePageToken(char kind, uint32_t place) {
  return absl::StrCat(absl::string_view(&kind, 1), absl::Hex(place));
}

uint32_t ConvertPageToken(absl::string_view token, char kind, ProblemList& problems) {
  if (token.empty()) return 0;
  uint32_t place = 0;
  // Only what MakePageToken makes is taken.
  if (token[0] == kind && token.size() <= 9 && absl::SimpleHexAtoi(token.substr(1), &place) &&
      MakePageToken(kind, place) == token) {
    return place;
  }
  problems.Add("page_token", token, std::string(kTokenRule));
  return 0;
}

std::string MakeNameToken(char kind, absl::string_view name) {
  return absl::StrCat(absl::string_view(&kind, 1), name);
}

absl::string_view ConvertNameToken(absl::string_view token, char kind, ProblemList& problems) {
  if (token.empty()) return "";
  const absl::string_view name = token.substr(1);
  // Of queues it is the name as it is stored, with its user.
  const bool good = std::all_of(name.begin(), name.end(),
                                [](char c) { return planner::IsNameCharacter(c) || c == '#'; });
  if (token[0] == kind && good && !name.empty()) return name;
  problems.Add("page_token", token, std::string(kTokenRule));
  return "";
}

scheduler::SetPool ConvertSetPool(const v1::SetPoolRequest& request, std::string caller,
                                  ProblemList& problems) {
  CheckRequestId(request.request_id(), problems);
  scheduler::SetPool set;
  set.pool = request.name();
  set.by = std::move(caller);
  planner::ResourceNames names;
  const absl::StatusOr<planner::Resource> pool = names.Intern(request.name());
  if (!pool.ok()) {
    problems.Add("name", request.name(), std::string(pool.status().message()));
  } else if (*pool == planner::Resource::Cpu() || *pool == planner::Resource::Ram()) {
    problems.Add("name", request.name(), "belongs to agents; a pool needs another name");
  }
  if (!request.has_capacity()) return set;
  const absl::StatusOr<planner::Quantity> capacity =
      planner::Quantity::FromUnits(request.capacity());
  if (!capacity.ok()) {
    problems.Add("capacity", absl::StrCat(request.capacity()),
                 std::string(capacity.status().message()));
  } else if (capacity->is_zero()) {
    problems.Add("capacity", "0", "must be more than 0; leave it out for what the settings say");
  } else {
    set.capacity = *capacity;
  }
  return set;
}

std::vector<planner::TaskState> ConvertTaskStates(
    const google::protobuf::RepeatedField<int>& states, ProblemList& problems) {
  std::vector<planner::TaskState> converted;
  for (int i = 0; i < states.size(); ++i) {
    if (states[i] <= v1::TASK_STATE_UNSPECIFIED || !v1::TaskState_IsValid(states[i])) {
      problems.Add(absl::StrCat("states[", i, "]"), absl::StrCat(states[i]),
                   "is not the state of a task; leave `states` empty for all");
      continue;
    }
    converted.push_back(static_cast<planner::TaskState>(states[i]));
  }
  return converted;
}

}  // namespace kartograph::service
