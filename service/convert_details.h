// Titles, labels and what else a client says of graphs and tasks, from the contract's messages to
// what is stored of it, and back.
#ifndef KARTOGRAPH_SERVICE_CONVERT_DETAILS_H_
#define KARTOGRAPH_SERVICE_CONVERT_DETAILS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "service/problem_list.h"
#include "storage/records.h"

namespace kartograph::service {

// Checks them, and gives a serialized service.Details; empty where nothing is said. `field` is that
// of the message.
std::string ConvertDetails(const v1::GraphSpec& spec, absl::string_view field,
                           ProblemList& problems);
std::string ConvertDetails(const v1::TaskSpec& spec, absl::string_view field,
                           ProblemList& problems);
// As they are stored to be found by.
storage::Labels ConvertLabels(const google::protobuf::Map<std::string, std::string>& labels);
// The labels that a list is filtered by.
void CheckLabels(const google::protobuf::Map<std::string, std::string>& labels,
                 absl::string_view field, ProblemList& problems);

// The other way round. What cannot be read is left out.
void SetDetails(absl::string_view details, v1::GraphSpec& spec);
void SetDetails(absl::string_view details, v1::TaskSpec& spec);
std::string ClientData(absl::string_view details);
// Whether they have all of these labels.
bool HasLabels(absl::string_view details, const storage::Labels& labels);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONVERT_DETAILS_H_
