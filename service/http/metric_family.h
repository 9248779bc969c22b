// One metric in Prometheus' text format. Debian has no library for this that a program could be
// linked with statically.
#ifndef KARTOGRAPH_SERVICE_HTTP_METRIC_FAMILY_H_
#define KARTOGRAPH_SERVICE_HTTP_METRIC_FAMILY_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace kartograph::service {

// A name with its values, which are counted elsewhere.
class MetricFamily {
 public:
  using Labels = std::vector<std::pair<absl::string_view, std::string>>;

  // `name` is a valid name; `help` is one line.
  static MetricFamily Gauge(absl::string_view name, absl::string_view help);
  static MetricFamily Counter(absl::string_view name, absl::string_view help);

  // `value` is finite. The names of labels are valid; their values may be any text.
  MetricFamily& Add(double value, const Labels& labels = {});

  std::string Take() { return std::move(text_); }

 private:
  MetricFamily(absl::string_view name, absl::string_view help, absl::string_view type);

  std::string name_;
  std::string text_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_METRIC_FAMILY_H_
