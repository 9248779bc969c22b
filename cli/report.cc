#include "cli/report.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/suggest.h"
#include "cli/field_place.h"
#include "cli/file_problems.h"
#include "cli/foreign_words.h"
#include "cli/text.h"
#include "planner/names.h"

namespace kartograph::cli {
namespace {

constexpr int kPageSize = 1000;
constexpr int kMaxIdsShown = 20;
constexpr int kMaxCompared = 500;  // names that a mistyped one is compared with

// gRPC's messages for a connection that is missing or breaks, as opposed to those of a service.
bool IsTransport(absl::string_view message) {
  for (const char* words :
       {"failed to connect", "connections to all backends failing", "DNS resolution failed",
        "Socket closed", "Connection reset", "GOAWAY", "recvmsg", "Broken pipe",
        "Deadline Exceeded", "empty address list", "Trying to connect an http1.x server",
        "Received http2 header", "keepalive", "ping timeout", "Stream removed", "CANCELLED",
        "Cancelled"}) {
    if (absl::StrContains(message, words)) return true;
  }
  return message.empty();
}

void ReportUnreachable(const Context& context, const absl::Status& status) {
  std::ostream& err = *context.err;
  const std::string& address = context.client->options().address;
  const std::string message = Printable(status.message());
  if (absl::StrContains(message, "http1.x")) {
    err << "kartograph: " << address << " is the port of the status page; that of gRPC is another, "
        << kDefaultPort << " unless it was changed (--server HOST:PORT or KARTOGRAPH_SERVER)\n";
    return;
  }
  if (status.code() == absl::StatusCode::kUnimplemented) {
    err << "kartograph: the server at " << address << " is not a Kartograph service\n";
  } else if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    err << "kartograph: the service at " << address << " is not responding\n";
  } else if (!IsTransport(message)) {
    err << "kartograph: the service at " << address << " cannot do this now: " << message << "\n";
    return;
  } else {
    err << "kartograph: the service at " << address << " cannot be reached";
    // Of gRPC's message only the innermost part tells a person something.
    for (const char* words :
         {"Connection refused", "Connection reset by peer", "No route to host",
          "Connection timed out", "Network is unreachable", "Domain name not found",
          "No such file or directory", "Permission denied"}) {
      if (absl::StrContains(message, words)) err << ": " << words;
    }
    err << "\n";
  }
  if (!absl::StartsWith(address, kSocketPrefix)) {
    err << "Start one (kartographd --state DIR --grpc " << address
        << "), or say where it is (--server HOST:PORT or KARTOGRAPH_SERVER).\n";
  } else if (absl::StrContains(message, "Permission denied")) {
    err << "It is another user's: ask them for its address and token (--server HOST:PORT "
           "--token-file FILE).\n";
  } else {
    err << "Start one (kartographd), or say where it is: its state folder (--state-folder DIR or "
           "KARTOGRAPH_STATE_FOLDER) or address (--server HOST:PORT).\n";
  }
}

// The names of all resources that some agent or pool has; none where the service does not say.
std::vector<std::string> ResourceNames(const Context& context) {
  std::vector<std::string> names;
  const auto cluster = context.client->GetCluster();
  if (!cluster.ok()) return names;
  for (const v1::Pool& pool : cluster->pools()) names.push_back(pool.name());
  for (const v1::Agent& agent : cluster->agents()) {
    for (const auto& [name, capacity] : agent.capacity()) names.push_back(name);
  }
  return names;
}

// Makes the text of a service's problems.
class ProblemTexts {
 public:
  explicit ProblemTexts(const Context& context) : context_(context) {}

  // What was there, what is wrong with it, and what may have been meant.
  std::string Message(const v1::Problem& problem, const std::vector<FieldStep>& steps) {
    std::string message = Printable(problem.message());
    if (const std::string meant = ResourceMeantBy(steps); !meant.empty()) {
      return absl::StrCat(message, "; did you mean ", Quoted(meant), "?");
    }
    if (problem.value().empty() || absl::StrContains(problem.message(), problem.value())) {
      return message;
    }
    // Then it does not matter how much was asked for.
    if (absl::StartsWith(message, "no agent and no pool ")) return message;
    // As in `"64" is more than any agent has`, or with what the message has of its own.
    const absl::string_view verb = absl::string_view(message).substr(0, message.find(' '));
    const bool continues =
        verb == "is" || verb == "has" || verb == "must" || verb == "contains" || verb == "needs";
    return absl::StrCat(Quoted(problem.value()), continues ? " " : ": ", message);
  }

 private:
  // What a consumed resource is called here that nothing has.
  std::string ResourceMeantBy(const std::vector<FieldStep>& steps) {
    if (steps.size() != 4 || steps[2].key != "consumption") return "";
    const std::string& name = steps[3].key;
    if (name == "gpu") return "";  // meant, though but a letter away from cpu
    if (!std::exchange(asked_, true)) known_ = ResourceNames(context_);
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) return "";
    const std::vector<absl::string_view> names(known_.begin(), known_.end());
    const absl::string_view nearest = Nearest(name, names);
    return std::string(nearest.empty() ? ResourceMeant(name) : nearest);
  }

  const Context& context_;
  bool asked_ = false;
  std::vector<std::string> known_;  // resources, once the service was asked for them
};

void ReportMoreProblems(const Context& context, const v1::Problems& problems) {
  const int more = problems.total() - problems.problems_size();
  if (more > 0) *context.err << "and " << Count(more, "more problem") << "\n";
}

// Each on a line of its own, with the field's name.
void ReportProblems(const Context& context, const v1::Problems& problems,
                    const FieldName& name_of) {
  ProblemTexts texts(context);
  for (const v1::Problem& problem : problems.problems()) {
    const auto steps = ParseField(problem.field()).value_or(std::vector<FieldStep>());
    std::string field = name_of(steps);
    if (field.empty()) field = problem.field();
    *context.err << "kartograph: " << Printable(field) << (field.empty() ? "" : ": ")
                 << texts.Message(problem, steps) << "\n";
  }
  ReportMoreProblems(context, problems);
}

// Each with its place in the file.
void ReportFileProblems(const Context& context, const v1::Problems& problems, const GraphFile& file,
                        absl::string_view path) {
  ProblemTexts texts(context);
  FileProblems in_file;
  for (const v1::Problem& problem : problems.problems()) {
    const std::optional<std::vector<FieldStep>> steps = ParseField(problem.field());
    const std::string message = texts.Message(problem, steps.value_or(std::vector<FieldStep>()));
    const std::optional<FilePlace> place = steps ? FindField(file, *steps) : std::nullopt;
    if (place.has_value()) {
      in_file.Add(place->mark, Printable(place->field), message);
    } else {
      in_file.Add({}, Printable(problem.field()), message);
    }
  }
  *context.err << in_file.ToString(path);
  ReportMoreProblems(context, problems);
}

// Reports what went wrong, problems with `report`, and gives the exit code.
int Report(const Context& context, const absl::Status& status,
           absl::FunctionRef<void(const v1::Problems&)> report) {
  if (IsAway(status) || status.code() == absl::StatusCode::kUnimplemented) {
    ReportUnreachable(context, status);
    return kUnreachable;
  }
  const v1::Problems problems = ProblemsOf(status);
  if (problems.problems_size() > 0) {
    report(problems);
  } else {
    *context.err << "kartograph: "
                 << (status.message().empty() ? absl::StatusCodeToString(status.code())
                                              : Printable(status.message()))
                 << "\n";
  }
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnauthenticated:
      return kWrongUse;
    default:
      return kNotSucceeded;
  }
}

}  // namespace

int ReportError(const Context& context, const absl::Status& status, const GraphFile* file,
                absl::string_view path) {
  if (file == nullptr) return ReportError(context, status, [](const auto&) { return ""; });
  return Report(context, status, [&](const v1::Problems& problems) {
    ReportFileProblems(context, problems, *file, path);
  });
}

int ReportError(const Context& context, const absl::Status& status, const FieldName& name_of) {
  return Report(context, status,
                [&](const v1::Problems& problems) { ReportProblems(context, problems, name_of); });
}

bool CheckScale(const Context& context, std::optional<double> given) {
  const double scale = given.value_or(1.0);
  if (std::isfinite(scale) && scale >= 0 && scale <= kMaxScale) return true;
  *context.err << "kartograph: --scale must be a number from 0 to 1000000\n";
  return false;
}

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.add_whitespace = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) {
    return absl::InternalError(
        absl::StrCat("the response cannot be written as JSON: ", status.ToString()));
  }
  if (json.empty() || json.back() != '\n') json += '\n';
  return json;
}

void PrintJson(const Context& context, const google::protobuf::Message& message) {
  const absl::StatusOr<std::string> json = ToJson(message);
  if (!json.ok()) {
    ReportError(context, json.status());
    return;
  }
  *context.out << *json;
  context.out->flush();
}

namespace {

// The name most like this one among those of the newest graphs; nothing where none is near.
std::string NearestGraph(const Context& context, absl::string_view name) {
  v1::ListGraphsRequest request;
  request.set_page_size(kMaxCompared);
  const auto newest = context.client->ListGraphs(request);
  if (!newest.ok()) return "";
  std::vector<absl::string_view> names;
  for (const v1::Graph& graph : newest->graphs()) names.push_back(graph.spec().name());
  return std::string(Nearest(name, names));
}

}  // namespace

absl::StatusOr<v1::Graph> FindGraph(const Context& context, absl::string_view id_or_name) {
  if (planner::LooksLikeGraphId(id_or_name)) {
    absl::StatusOr<v1::Graph> graph = context.client->GetGraph(id_or_name);
    if (graph.ok() || graph.status().code() != absl::StatusCode::kNotFound) return graph;
  }
  v1::ListGraphsRequest request;
  request.set_name(std::string(id_or_name));
  request.set_page_size(1);
  absl::StatusOr<v1::ListGraphsResponse> newest = context.client->ListGraphs(request);
  if (!newest.ok()) return newest.status();
  if (newest->graphs_size() > 0) return std::move(*newest->mutable_graphs(0));
  const std::string nearest = NearestGraph(context, id_or_name);
  return absl::NotFoundError(
      absl::StrCat("no graph has the id or name ", Quoted(id_or_name), "; ",
                   nearest.empty() ? std::string("\"kartograph list\" shows all graphs")
                                   : absl::StrCat("did you mean ", Quoted(nearest), "?")));
}

absl::Status WithNearestTask(const Context& context, const std::string& graph_id,
                             absl::string_view name, const absl::Status& status) {
  if (!absl::IsNotFound(status) || name.empty()) return status;
  v1::ListTasksRequest request;
  request.set_graph_id(graph_id);
  const auto tasks = ListAllTasks(context, request, kMaxCompared);
  if (!tasks.ok()) return status;
  std::vector<absl::string_view> names;
  for (const v1::Task& task : tasks->tasks()) {
    if (task.name() == name) return status;  // something else was not found
    names.push_back(task.name());
  }
  const absl::string_view nearest = Nearest(name, names);
  if (nearest.empty()) return status;
  return absl::NotFoundError(
      absl::StrCat(status.message(), "; did you mean ", Quoted(nearest), "?"));
}

absl::Status WithNearestTask(const Context& context, const std::string& graph_id,
                             const std::vector<std::string>& names, const absl::Status& status) {
  for (const std::string& name : names) {
    const bool alone = names.size() == 1;
    if (!alone && !absl::StrContains(status.message(), Quoted(name))) continue;
    return WithNearestTask(context, graph_id, name, status);
  }
  return status;
}

absl::StatusOr<v1::Graph> FindGraphToChange(const Context& context, absl::string_view id_or_name) {
  return context.client->RetriedRead([&]() -> absl::StatusOr<v1::Graph> {
    if (planner::LooksLikeGraphId(id_or_name)) return FindGraph(context, id_or_name);
    v1::ListGraphsRequest request;
    request.set_name(std::string(id_or_name));
    request.set_state(v1::GRAPH_STATE_RUNNING);
    request.set_page_size(kMaxIdsShown + 1);
    absl::StatusOr<v1::ListGraphsResponse> running = context.client->ListGraphs(request);
    if (!running.ok()) return running.status();
    if (running->graphs_size() == 0) return FindGraph(context, id_or_name);
    if (running->graphs_size() == 1) return std::move(*running->mutable_graphs(0));
    std::string ids;
    for (int i = 0; i < std::min(running->graphs_size(), kMaxIdsShown); ++i) {
      absl::StrAppend(&ids, i == 0 ? "" : ", ", running->graphs(i).graph_id());
    }
    if (running->graphs_size() > kMaxIdsShown) ids += " and more";
    return absl::InvalidArgumentError(absl::StrCat("several graphs named ", Quoted(id_or_name),
                                                   " are running (", ids,
                                                   "); give the id of the one you mean"));
  });
}

absl::StatusOr<v1::ListTasksResponse> ListAllTasks(const Context& context,
                                                   v1::ListTasksRequest request, int limit) {
  v1::ListTasksResponse all;
  request.set_page_size(limit > 0 ? std::min(limit, kPageSize) : kPageSize);
  do {
    absl::StatusOr<v1::ListTasksResponse> page = context.client->ListTasks(request);
    if (!page.ok()) return page.status();
    for (v1::Task& task : *page->mutable_tasks()) *all.add_tasks() = std::move(task);
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && (limit == 0 || all.tasks_size() < limit));
  return all;
}

}  // namespace kartograph::cli
