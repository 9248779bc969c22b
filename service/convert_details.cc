#include "service/convert_details.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "planner/labels.h"
#include "service/details.pb.h"

namespace kartograph::service {
namespace {

constexpr size_t kMaxClientData = 4 << 10;

// Text of one line, which a terminal shows as it is.
void CheckLine(absl::string_view text, const std::string& field, ProblemList& problems) {
  if (std::string problem = planner::LineProblem(text); !problem.empty()) {
    problems.Add(field, text, std::move(problem));
  }
}

template <typename Spec>
void Convert(const Spec& spec, absl::string_view field, Details& details, ProblemList& problems) {
  CheckLine(spec.title(), absl::StrCat(field, ".title"), problems);
  CheckLabels(spec.labels(), absl::StrCat(field, ".labels"), problems);
  details.set_title(spec.title());
  *details.mutable_labels() = spec.labels();
}

Details Parse(absl::string_view bytes) {
  Details details;
  if (!details.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) details.Clear();
  return details;
}

template <typename Spec>
void Set(Details& details, Spec& spec) {
  spec.set_title(std::move(*details.mutable_title()));
  *spec.mutable_labels() = std::move(*details.mutable_labels());
}

}  // namespace

void CheckLabels(const google::protobuf::Map<std::string, std::string>& labels,
                 absl::string_view field, ProblemList& problems) {
  if (labels.size() > planner::kMaxLabels) {
    problems.Add(std::string(field), absl::StrCat(labels.size(), " labels"),
                 absl::StrCat("must be at most ", planner::kMaxLabels));
    return;
  }
  for (const auto& [name, value] : labels) {
    const std::string at = absl::StrCat(field, "[\"", absl::Utf8SafeCHexEscape(name), "\"]");
    if (std::string problem = planner::LabelNameProblem(name); !problem.empty()) {
      problems.Add(at, name, std::move(problem));
    }
    CheckLine(value, at, problems);
  }
}

std::string ConvertDetails(const v1::GraphSpec& spec, absl::string_view field,
                           ProblemList& problems) {
  if (spec.title().empty() && spec.labels().empty()) return "";
  Details details;
  Convert(spec, field, details, problems);
  return details.SerializeAsString();
}

std::string ConvertDetails(const v1::TaskSpec& spec, absl::string_view field,
                           ProblemList& problems) {
  if (spec.title().empty() && spec.labels().empty() && spec.client_data().empty()) return "";
  Details details;
  Convert(spec, field, details, problems);
  if (spec.client_data().size() > kMaxClientData) {
    problems.Add(absl::StrCat(field, ".client_data"),
                 absl::StrCat(spec.client_data().size(), " bytes"),
                 absl::StrCat("must be at most ", kMaxClientData, " bytes"));
  }
  details.set_client_data(spec.client_data());
  return details.SerializeAsString();
}

storage::Labels ConvertLabels(const google::protobuf::Map<std::string, std::string>& labels) {
  storage::Labels converted(labels.begin(), labels.end());
  std::sort(converted.begin(), converted.end());
  return converted;
}

void SetDetails(absl::string_view bytes, v1::GraphSpec& spec) {
  if (bytes.empty()) return;
  Details details = Parse(bytes);
  Set(details, spec);
}

void SetDetails(absl::string_view bytes, v1::TaskSpec& spec) {
  if (bytes.empty()) return;
  Details details = Parse(bytes);
  Set(details, spec);
  spec.set_client_data(std::move(*details.mutable_client_data()));
}

std::string ClientData(absl::string_view details) {
  return details.empty() ? std::string() : Parse(details).client_data();
}

bool HasLabels(absl::string_view bytes, const storage::Labels& labels) {
  if (labels.empty()) return true;
  if (bytes.empty()) return false;
  const Details details = Parse(bytes);
  return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
    const auto found = details.labels().find(label.first);
    return found != details.labels().end() && found->second == label.second;
  });
}

}  // namespace kartograph::service
