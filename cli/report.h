// What the commands have in common: errors as text, JSON, and which graph is meant.
#ifndef KARTOGRAPH_CLI_REPORT_H_
#define KARTOGRAPH_CLI_REPORT_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "cli/commands.h"
#include "cli/graph_file.h"

namespace kartograph::cli {

// Prints on `err` what went wrong, for people, and gives the exit code. Problems come one a line;
// those of `file` (read from `path`) as `validate` reports its own, with their places.
int ReportError(const Context& context, const absl::Status& status, const GraphFile* file = nullptr,
                absl::string_view path = "");
// What the user calls a field of a problem, such as "--cpu"; empty where it has no other name.
using FieldName = std::function<std::string(const std::vector<FieldStep>& field)>;
// The same where there is no file, with the names that the fields have on the command line.
int ReportError(const Context& context, const absl::Status& status, const FieldName& name_of);

// Whether the factor for a file's recorded runtimes is one; otherwise says on `err` what would be.
bool CheckScale(const Context& context, std::optional<double> scale);

// One JSON document in protobuf's mapping, with the fields that have default values.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);
// The same on `out`.
void PrintJson(const Context& context, const google::protobuf::Message& message);

// The graph of this id or, where there is none, the newest of this name. NotFound otherwise.
absl::StatusOr<v1::Graph> FindGraph(const Context& context, absl::string_view id_or_name);
// For a write: a name means the one graph of this name that runs, the newest where none runs;
// InvalidArgument where several do. Retried like writes while the service is unavailable.
absl::StatusOr<v1::Graph> FindGraphToChange(const Context& context, absl::string_view id_or_name);

// `status`, and where that is NotFound since the graph has no task of this name, the name that may
// have been meant.
absl::Status WithNearestTask(const Context& context, const std::string& graph_id,
                             absl::string_view name, const absl::Status& status);

// The same for the first of several names that `status` says.
absl::Status WithNearestTask(const Context& context, const std::string& graph_id,
                             const std::vector<std::string>& names, const absl::Status& status);

// All pages of ListTasks as one answer, or the first `limit` tasks where it is more than 0.
absl::StatusOr<v1::ListTasksResponse> ListAllTasks(const Context& context,
                                                   v1::ListTasksRequest request, int limit = 0);

// What there is to know of one task, for `status`; gives the exit code.
int TaskStatus(const Context& context, const v1::Graph& graph, const std::string& name);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_REPORT_H_
