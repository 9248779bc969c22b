#include "cli/gantt.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/duration.h"
#include "base/utf8.h"
#include "cli/file_problems.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "planner/task_kind.h"

namespace kartograph::cli {
namespace {

using planner::TaskIndex;

// Pixels.
constexpr double kWidth = 1200;
constexpr double kLeft = 150;
constexpr double kPlot = kWidth - kLeft - 30;
constexpr double kHead = 62;
constexpr double kLaneGap = 4;
constexpr double kAreaHeight = 52;
constexpr double kAreaGap = 22;
constexpr double kLetter = 6.5;  // wide ones, of names on bars
constexpr int kColumns = static_cast<int>(2 * kPlot);

// Light enough for text on them.
constexpr absl::string_view kColours[] = {"#8ecae6", "#f4b860", "#7fc8a9", "#efe58a", "#e3a3c8",
                                          "#a3b4f2", "#f2a07b", "#bfd8a5", "#cbb4e6"};
constexpr absl::string_view kOtherColour = "#b0b4b8";
constexpr size_t kMostAreas = 20;

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(Printable(text),
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

// "left" or "right" of the point, in the image's only font.
void AddText(std::string* svg, double x, double y, absl::string_view text,
             absl::string_view attributes = "") {
  absl::StrAppendFormat(svg, "<text x=\"%.1f\" y=\"%.1f\"%s>%s</text>\n", x, y, attributes,
                        Escaped(text));
}

// The distance of the marks on the axis of time: at most twelve of them.
absl::Duration MarkDistance(absl::Duration makespan) {
  const absl::Duration least = makespan / 12;
  for (absl::Duration unit = absl::Microseconds(1); unit < absl::Seconds(1); unit *= 10) {
    for (int n : {1, 2, 5}) {
      if (n * unit >= least) return n * unit;
    }
  }
  for (int64_t s :
       {1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200}) {
    if (absl::Seconds(s) >= least) return absl::Seconds(s);
  }
  absl::Duration unit = absl::Hours(24);
  for (;; unit *= 10) {
    for (int n : {1, 2, 5}) {
      if (n * unit >= least) return n * unit;
    }
  }
}

std::string MarkText(absl::Duration time, absl::Duration distance) {
  if (distance < absl::Milliseconds(1)) {
    return absl::StrCat(absl::ToInt64Microseconds(time), " us");
  }
  if (distance < absl::Seconds(1)) return absl::StrCat(absl::ToInt64Milliseconds(time), " ms");
  if (distance >= absl::Hours(24)) {
    return absl::StrCat(absl::ToInt64Hours(time) / 24, " d");
  }
  return FormatClock(time);
}

class Chart {
 public:
  Chart(const forecast::Graph& graph, const forecast::Cluster& cluster,
        const std::vector<std::string>& agent_names, const forecast::Forecast& forecast)
      : graph_(graph), cluster_(cluster), agent_names_(agent_names), forecast_(forecast) {
    critical_.insert(forecast.critical_path.begin(), forecast.critical_path.end());
    ChooseBars();
    ChooseColours();
    PutIntoRows();
  }

  std::string Draw() {
    std::string body;
    double y = kHead;
    DrawLanes(&body, &y);
    DrawAreas(&body, &y);
    DrawLegend(&body, &y);
    const double height = y + 12;
    std::string svg = absl::StrFormat(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
        "viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
        kWidth, height, kWidth, height);
    AddText(&svg, 12, 22, graph_.name, " font-size=\"15\" font-weight=\"bold\"");
    AddText(&svg, 12, 38, Subtitle(), " fill=\"#555\"");
    DrawAxis(&svg, axis_end_);
    svg += body;
    svg += "</svg>\n";
    return svg;
  }

 private:
  struct Lane {
    uint32_t agent;
    std::vector<absl::Duration> free_at;  // by row
  };

  double X(absl::Duration time) const {
    return kLeft + kPlot * absl::FDivDuration(time, forecast_.makespan);
  }

  void ChooseBars() {
    bars_.resize(graph_.tasks.size());
    for (TaskIndex i = 0; i < bars_.size(); ++i) bars_[i] = i;
    if (bars_.size() > kMaxGanttBars) {
      std::stable_sort(bars_.begin(), bars_.end(), [&](TaskIndex a, TaskIndex b) {
        return graph_.tasks[a].takes > graph_.tasks[b].takes;
      });
      bars_.resize(kMaxGanttBars);
    }
    std::sort(bars_.begin(), bars_.end(), [&](TaskIndex a, TaskIndex b) {
      const forecast::Run& x = forecast_.runs[a];
      const forecast::Run& y = forecast_.runs[b];
      return x.start != y.start ? x.start < y.start : a < b;
    });
  }

  // The kinds that take longest together have colours of their own.
  void ChooseColours() {
    absl::flat_hash_map<std::string, absl::Duration> time;
    for (const forecast::Task& task : graph_.tasks) {
      time[planner::NamePattern(task.name)] += task.takes;
    }
    std::vector<std::pair<std::string, absl::Duration>> kinds(time.begin(), time.end());
    std::sort(kinds.begin(), kinds.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    if (kinds.size() > std::size(kColours)) {
      kinds.resize(std::size(kColours));
      other_kinds_ = true;
    }
    for (auto& [kind, duration] : kinds) {
      colours_[kind] = kColours[kinds_.size()];
      kinds_.push_back(std::move(kind));
    }
  }

  absl::string_view ColourOf(TaskIndex task) const {
    const auto it = colours_.find(planner::NamePattern(graph_.tasks[task].name));
    return it == colours_.end() ? kOtherColour : it->second;
  }

  // Each bar into the first row of its agent that is free.
  void PutIntoRows() {
    std::vector<uint32_t> agents;
    for (TaskIndex i : bars_) agents.push_back(forecast_.runs[i].agent);
    std::sort(agents.begin(), agents.end());
    agents.erase(std::unique(agents.begin(), agents.end()), agents.end());
    absl::flat_hash_map<uint32_t, size_t> lane_of;
    for (uint32_t agent : agents) {
      lane_of[agent] = lanes_.size();
      lanes_.push_back({agent, {}});
    }
    row_.resize(graph_.tasks.size());
    for (TaskIndex i : bars_) {
      const forecast::Run& run = forecast_.runs[i];
      std::vector<absl::Duration>& free_at = lanes_[lane_of[run.agent]].free_at;
      auto row = std::find_if(free_at.begin(), free_at.end(),
                              [&](absl::Duration free) { return free <= run.start; });
      if (row == free_at.end()) row = free_at.insert(free_at.end(), absl::ZeroDuration());
      *row = run.end;
      row_[i] = static_cast<size_t>(row - free_at.begin());
    }
    size_t rows = 0;
    size_t drawn = 0;
    while (drawn < lanes_.size() && rows + lanes_[drawn].free_at.size() <= kMaxGanttRows) {
      rows += lanes_[drawn++].free_at.size();
    }
    lanes_left_out_ = lanes_.size() - drawn;
    lanes_.resize(drawn);
    row_height_ = rows <= 40 ? 18 : rows <= 120 ? 13 : rows <= 400 ? 6 : 3;
  }

  std::string Subtitle() const {
    std::string text =
        absl::StrCat(Count(static_cast<int64_t>(graph_.tasks.size()), "task"), " on ",
                     Count(static_cast<int64_t>(cluster_.agents.size()), "agent"), ", ",
                     FormatElapsed(forecast_.makespan), "; lower bound ",
                     FormatElapsed(forecast_.lower_bound), "; framed: the critical path");
    if (bars_.size() < graph_.tasks.size()) {
      absl::StrAppend(&text, "; the longest ", bars_.size(), " are drawn");
    }
    if (lanes_left_out_ > 0) {
      absl::StrAppend(&text, "; ", Count(static_cast<int64_t>(lanes_left_out_), "agent"),
                      " left out");
    }
    return text;
  }

  void DrawLanes(std::string* svg, double* y) {
    absl::flat_hash_map<uint32_t, double> top;
    double last_label = -100;
    bool shaded = false;
    for (const Lane& lane : lanes_) {
      const double height = row_height_ * static_cast<double>(lane.free_at.size());
      if (std::exchange(shaded, !shaded)) {
        absl::StrAppendFormat(
            svg, "<rect x=\"0\" y=\"%.1f\" width=\"%.0f\" height=\"%.1f\" fill=\"#0000000a\"/>\n",
            *y - kLaneGap / 2, kWidth, height + kLaneGap);
      }
      top[lane.agent] = *y;
      const double middle = *y + height / 2 + 4;
      if (middle - last_label >= 12) {
        AddText(svg, kLeft - 8, middle, Cut(agent_names_[lane.agent], 22), " text-anchor=\"end\"");
        last_label = middle;
      }
      *y += height + kLaneGap;
    }
    for (TaskIndex i : bars_) {
      const auto lane = top.find(forecast_.runs[i].agent);
      if (lane != top.end()) DrawBar(svg, i, lane->second);
    }
    axis_end_ = *y;
  }

  void DrawBar(std::string* svg, TaskIndex i, double top) const {
    const forecast::Run& run = forecast_.runs[i];
    const double x = X(run.start);
    const double width = std::max(0.6, X(run.end) - x - (X(run.end) - x > 4 ? 0.6 : 0));
    const double height = row_height_ > 4 ? row_height_ - 1 : row_height_;
    const double y = top + row_height_ * static_cast<double>(row_[i]);
    const std::string& name = graph_.tasks[i].name;
    absl::StrAppendFormat(
        svg,
        "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" fill=\"%s\"%s>"
        "<title>%s: %s, from %s to %s, on %s</title></rect>\n",
        x, y, width, height, ColourOf(i),
        critical_.contains(i) ? " stroke=\"#000\" stroke-width=\"1.2\"" : "", Escaped(name),
        FormatElapsed(run.end - run.start), FormatElapsed(run.start), FormatElapsed(run.end),
        Escaped(agent_names_[run.agent]));
    const auto letters = static_cast<size_t>(std::max(0.0, (width - 6) / kLetter));
    if (row_height_ < 12 || letters < std::min<size_t>(name.size(), 4)) return;
    AddText(svg, x + 3, y + height / 2 + 3.5, Cut(name, letters),
            " font-size=\"10\" pointer-events=\"none\"");
  }

  static std::string Cut(absl::string_view text, size_t letters) {
    if (text.size() <= letters) return std::string(text);
    return absl::StrCat(TruncateUtf8(text, letters < 2 ? letters : letters - 1),
                        letters < 2 ? "" : "…");
  }

  void DrawAreas(std::string* svg, double* y) {
    std::vector<const forecast::ResourceUse*> uses;
    for (const bool pools : {true, false}) {
      for (const forecast::ResourceUse& use : forecast_.uses) {
        if (use.pool == pools && use.utilization > 0) uses.push_back(&use);
      }
    }
    if (uses.size() > kMostAreas) uses.resize(kMostAreas);
    for (const forecast::ResourceUse* use : uses) {
      *y += kAreaGap;
      DrawArea(svg, *use, *y);
      *y += kAreaHeight;
    }
    axis_end_ = *y;
  }

  // The most that is used in each column of half a pixel, as a part of the capacity.
  std::vector<double> Levels(const forecast::ResourceUse& use) const {
    std::vector<std::pair<absl::Duration, int64_t>> changes;  // in thousandths
    for (TaskIndex i = 0; i < graph_.tasks.size(); ++i) {
      const int64_t held = graph_.tasks[i].consumption.Get(use.resource).milli();
      if (held == 0) continue;
      changes.emplace_back(forecast_.runs[i].start, held);
      changes.emplace_back(forecast_.runs[i].end, -held);
    }
    std::sort(changes.begin(), changes.end());  // what ends comes before what starts then
    std::vector<double> levels(kColumns, 0);
    const auto column = [&](absl::Duration time) {
      return std::clamp(static_cast<int>(kColumns * absl::FDivDuration(time, forecast_.makespan)),
                        0, kColumns - 1);
    };
    int64_t used = 0;
    for (size_t i = 0; i + 1 < changes.size(); ++i) {
      used += changes[i].second;
      if (changes[i].first == changes[i + 1].first) continue;
      const double part = static_cast<double>(used) / static_cast<double>(use.capacity.milli());
      const int last = column(changes[i + 1].first);
      for (int c = column(changes[i].first); c <= last; ++c) {
        // The column in which it ends belongs to what comes then.
        if (c < last || c == column(changes[i].first)) levels[c] = std::max(levels[c], part);
      }
    }
    return levels;
  }

  void DrawArea(std::string* svg, const forecast::ResourceUse& use, double top) const {
    const std::vector<double> levels = Levels(use);
    const double bottom = top + kAreaHeight;
    std::string path = absl::StrFormat("M%.1f %.1f", kLeft, bottom);
    double level = 0;
    for (int c = 0; c < kColumns; ++c) {
      if (levels[c] == level) continue;
      level = levels[c];
      absl::StrAppendFormat(&path, "H%.1fV%.1f", kLeft + c / 2.0, bottom - kAreaHeight * level);
    }
    absl::StrAppendFormat(&path, "H%.1fV%.1fZ", kLeft + kPlot, bottom);
    absl::StrAppendFormat(svg, "<path d=\"%s\" fill=\"%s\"/>\n", path,
                          use.pool ? "#d5a6bd" : "#a9c4de");
    for (const double y : {top, bottom}) {
      absl::StrAppendFormat(svg, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#888\"%s/>\n", kLeft, y,
                            kLeft + kPlot, y == top ? " stroke-dasharray=\"3 3\"" : "");
    }
    const std::string name(use.resource.name());
    AddText(svg, kLeft - 8, top + 16, Cut(use.pool ? absl::StrCat("pool ", name) : name, 24),
            " text-anchor=\"end\"");
    AddText(svg, kLeft - 8, top + 30,
            absl::StrCat("of ", FormatQuantity(name, use.capacity.units())),
            " text-anchor=\"end\" fill=\"#555\"");
    AddText(svg, kLeft - 8, top + 44, absl::StrFormat("%.0f %% used", 100 * use.utilization),
            " text-anchor=\"end\" fill=\"#555\"");
  }

  void DrawAxis(std::string* svg, double bottom) const {
    const absl::Duration distance = MarkDistance(forecast_.makespan);
    for (absl::Duration time; time <= forecast_.makespan; time += distance) {
      absl::StrAppendFormat(svg, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#ddd\"/>\n", X(time),
                            kHead - 6, bottom);
      AddText(svg, X(time), kHead - 9, MarkText(time, distance),
              " text-anchor=\"middle\" fill=\"#555\"");
    }
  }

  void DrawLegend(std::string* svg, double* y) const {
    *y += 24;
    double x = kLeft;
    const auto add = [&](absl::string_view colour, const std::string& text) {
      const double width = 22 + kLetter * static_cast<double>(text.size());
      if (x + width > kWidth && x > kLeft) {
        x = kLeft;
        *y += 16;
      }
      absl::StrAppendFormat(
          svg, "<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" fill=\"%s\"/>\n", x, *y - 9,
          colour);
      AddText(svg, x + 14, *y, text);
      x += width + 8;
    };
    for (size_t i = 0; i < kinds_.size(); ++i) add(kColours[i], Cut(kinds_[i], 40));
    if (other_kinds_) add(kOtherColour, "others");
  }

  const forecast::Graph& graph_;
  const forecast::Cluster& cluster_;
  const std::vector<std::string>& agent_names_;
  const forecast::Forecast& forecast_;
  absl::flat_hash_set<TaskIndex> critical_;
  std::vector<TaskIndex> bars_;  // by start
  std::vector<std::string> kinds_;
  bool other_kinds_ = false;
  absl::flat_hash_map<std::string, absl::string_view> colours_;
  std::vector<Lane> lanes_;
  size_t lanes_left_out_ = 0;
  std::vector<size_t> row_;  // by task
  double row_height_ = 0;
  double axis_end_ = 0;
};

}  // namespace

std::string GanttChart(const forecast::Graph& graph, const forecast::Cluster& cluster,
                       const std::vector<std::string>& agent_names,
                       const forecast::Forecast& forecast) {
  return Chart(graph, cluster, agent_names, forecast).Draw();
}

}  // namespace kartograph::cli
