#include "service/http/metric_family.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace kartograph::service {
namespace {

void AppendLabel(std::string* out, const MetricFamily::Labels::value_type& label) {
  absl::StrAppend(
      out, label.first, "=\"",
      absl::StrReplaceAll(label.second, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}), "\"");
}

}  // namespace

MetricFamily::MetricFamily(absl::string_view name, absl::string_view help, absl::string_view type)
    : name_(name),
      text_(absl::StrCat("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n")) {}

MetricFamily MetricFamily::Gauge(absl::string_view name, absl::string_view help) {
  return MetricFamily(name, help, "gauge");
}

MetricFamily MetricFamily::Counter(absl::string_view name, absl::string_view help) {
  return MetricFamily(name, help, "counter");
}

MetricFamily& MetricFamily::Add(double value, const Labels& labels) {
  text_ += name_;
  if (!labels.empty()) absl::StrAppend(&text_, "{", absl::StrJoin(labels, ",", AppendLabel), "}");
  absl::StrAppendFormat(&text_, " %.16g\n", value);
  return *this;
}

}  // namespace kartograph::service
