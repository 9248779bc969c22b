#include "service/usage.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "planner/resources.h"
#include "planner/task_kind.h"
#include "service/convert.h"
#include "service/messages.h"

namespace kartograph::service {
namespace {

constexpr char kUsagePages = 'u';
constexpr double kMargin = 1.2;
// How far off a declaration is that somebody is warned of.
constexpr double kFarOff = 5;
// Of less than this nobody is warned: it is not worth it, and hard to measure.
constexpr double kLeastCpu = 0.1;
constexpr double kLeastRam = 16 << 20;
constexpr uint64_t kLeastWallUs = 100'000;
constexpr double kMiB = 1 << 20;

struct Used {
  absl::string_view resource;
  double declared = 0;
  double p95 = 0;
  double proposed = 0;
};

// With two digits that count, as people write them.
double RoundUpCpu(double cores) {
  const double step = cores < 1 ? 0.1 : cores < 10 ? 0.5 : 1;
  // A product of a tenth is a bit more than it.
  return std::ceil(cores / step - 1e-9) * step;
}

// To a sixteenth of a power of two, of at least 16 MiB.
double RoundUpRam(double bytes) {
  const double power = std::exp2(std::floor(std::log2(std::max(bytes, 1.0))));
  const double step = std::max(16 * kMiB, power / 16);
  return std::max(1.0, std::ceil(bytes / step)) * step;
}

Used CpuOf(const scheduler::KindUsage& usage, absl::string_view consumption) {
  const double p95 = static_cast<double>(usage.cpu_milli.Quantile(0.95)) / 1000;
  return {"cpu", planner::QuantityIn(consumption, "cpu").units(), p95,
          std::max(0.1, RoundUpCpu(kMargin * p95))};
}

Used RamOf(const scheduler::KindUsage& usage, absl::string_view consumption) {
  return {"ram", planner::QuantityIn(consumption, "ram").units(),
          static_cast<double>(usage.ram_bytes.Quantile(0.95)),
          RoundUpRam(kMargin * static_cast<double>(usage.ram_bytes.Largest()))};
}

// How many times too much or too little is declared, and 1 where nobody is to be warned.
double FarOff(const Used& used, double least) {
  // What is not declared is not wrong.
  if (used.declared <= 0 || std::max(used.declared, used.p95) < least) return 1;
  const double p95 = std::max(used.p95, least);
  // A core is what is assumed where nothing is declared.
  const bool assumed = used.resource == "cpu" && used.declared == 1;
  const double off = std::max(assumed ? 0 : used.declared / p95, p95 / used.declared);
  return off >= kFarOff ? off : 1;
}

std::string Text(absl::string_view resource, double units) {
  if (resource == "ram") {
    return planner::FormatBytes(
        planner::Quantity::Of(static_cast<int64_t>(std::ceil(units / kMiB) * kMiB)));
  }
  return planner::Quantity::FromMilli(std::llround(units * 1000)).ToString();
}

std::optional<v1::UsageWarning> WarningOf(const scheduler::GraphKinds::Kind& kind,
                                          const scheduler::KindUsage& usage) {
  if (usage.runs < kLeastRuns || usage.ram_bytes.empty()) return std::nullopt;
  const Used cpu = CpuOf(usage, kind.kind.consumption);
  const Used ram = RamOf(usage, kind.kind.consumption);
  const double cpu_off = usage.wall_us.Median() < kLeastWallUs ? 1 : FarOff(cpu, kLeastCpu);
  const double ram_off = FarOff(ram, kLeastRam);
  if (cpu_off == 1 && ram_off == 1) return std::nullopt;
  const Used& used = cpu_off > ram_off ? cpu : ram;
  v1::UsageWarning warning;
  warning.set_task(kind.kind.task);
  warning.set_resource(std::string(used.resource));
  warning.set_declared(used.declared);
  warning.set_used(used.p95);
  warning.set_proposed(used.proposed);
  warning.set_runs(usage.runs);
  warning.set_message(absl::StrCat("tasks like \"", kind.kind.task, "\" declare ", used.resource,
                                   " ", Text(used.resource, used.declared), ", and 95 % of ",
                                   usage.runs, " runs used at most ", Text(used.resource, used.p95),
                                   "; ", used.resource, ": ", Text(used.resource, used.proposed),
                                   " would fit"));
  return warning;
}

std::string PageToken(const planner::TaskKind& kind) {
  return absl::StrCat(
      absl::string_view(&kUsagePages, 1),
      absl::WebSafeBase64Escape(absl::StrCat(kind.graph, "\n", kind.task, "\n", kind.consumption)));
}

std::optional<planner::TaskKind> ParsePageToken(absl::string_view token) {
  std::string text;
  if (token.empty() || token[0] != kUsagePages ||
      !absl::WebSafeBase64Unescape(token.substr(1), &text)) {
    return std::nullopt;
  }
  const std::vector<std::string> parts = absl::StrSplit(text, '\n');
  if (parts.size() != 3) return std::nullopt;
  planner::TaskKind kind = {parts[0], parts[1], parts[2]};
  if (PageToken(kind) != token) return std::nullopt;
  return kind;
}

}  // namespace

v1::KindUsage ToMessage(const scheduler::KindUsage& usage) {
  v1::KindUsage message;
  message.set_graph(usage.kind.graph);
  message.set_task(usage.kind.task);
  for (const auto& [name, quantity] : planner::ParseConsumptionText(usage.kind.consumption)) {
    (*message.mutable_consumption())[std::string(name)] = quantity.units();
  }
  message.set_runs(usage.runs);
  *message.mutable_last_run() = ToMessage(usage.last_run);
  const auto span = [](uint64_t us) {
    return ToMessage(absl::Microseconds(static_cast<int64_t>(us)));
  };
  *message.mutable_wall_time_median() = span(usage.wall_us.Median());
  *message.mutable_wall_time_p95() = span(usage.wall_us.Quantile(0.95));
  if (usage.ram_bytes.empty()) return message;
  const Used cpu = CpuOf(usage, usage.kind.consumption);
  const Used ram = RamOf(usage, usage.kind.consumption);
  message.set_cpu_median(static_cast<double>(usage.cpu_milli.Median()) / 1000);
  message.set_cpu_p95(cpu.p95);
  message.set_ram_median(static_cast<double>(usage.ram_bytes.Median()));
  message.set_ram_p95(ram.p95);
  message.set_ram_peak(static_cast<double>(usage.ram_bytes.Largest()));
  if (usage.runs < kLeastRuns) return message;
  for (const Used& used : {cpu, ram}) {
    (*message.mutable_proposal())[std::string(used.resource)] = used.proposed;
  }
  return message;
}

absl::StatusOr<v1::ListUsageResponse> ListUsage(const scheduler::UsageTable& usage,
                                                const v1::ListUsageRequest& request) {
  ProblemList problems;
  const int page_size = ConvertPageSize(request.page_size(), problems);
  std::optional<planner::TaskKind> after;
  if (!request.page_token().empty()) {
    after = ParsePageToken(request.page_token());
    if (!after.has_value()) {
      problems.Add("page_token", request.page_token(),
                   "is not a token of this list; give the next_page_token of the previous answer, "
                   "or nothing for the first page");
    }
  }
  if (!problems.empty()) return problems.ToStatus();
  const std::vector<scheduler::KindUsage> kinds =
      usage.List(after.has_value() ? &*after : nullptr, planner::NamePattern(request.graph()),
                 planner::NamePattern(request.task()), static_cast<size_t>(page_size) + 1);
  v1::ListUsageResponse response;
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (response.kinds_size() == page_size) {
      response.set_next_page_token(PageToken(kinds[i - 1].kind));
      break;
    }
    *response.add_kinds() = ToMessage(kinds[i]);
  }
  return response;
}

void AddUsageWarnings(const scheduler::PreparedGraph& graph, const scheduler::UsageTable& usage,
                      v1::SubmitGraphResponse& response) {
  std::vector<const scheduler::GraphKinds::Kind*> kinds;
  for (const scheduler::GraphKinds::Kind& kind : graph.live->kinds.kinds()) kinds.push_back(&kind);
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const auto* a, const auto* b) { return a->tasks > b->tasks; });
  for (const scheduler::GraphKinds::Kind* kind : kinds) {
    if (response.usage_warnings_size() == kMaxUsageWarnings) return;
    const std::optional<scheduler::KindUsage> known = usage.Find(kind->kind);
    if (!known.has_value()) continue;
    if (auto warning = WarningOf(*kind, *known)) {
      *response.add_usage_warnings() = *std::move(warning);
    }
  }
}

}  // namespace kartograph::service
