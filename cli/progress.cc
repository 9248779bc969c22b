#include "cli/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/duration.h"
#include "cli/proto_time.h"
#include "cli/text.h"

namespace kartograph::cli {
namespace {

// A redrawn line changes at most ten times a second, and once a second for the clock.
constexpr absl::Duration kRedraw = absl::Milliseconds(100);
constexpr absl::Duration kClock = absl::Seconds(1);
constexpr int kMaxFailuresSaid = 20;
constexpr int kMaxNameColumns = 24;
constexpr int kMinBar = 10;
constexpr int kMaxBar = 30;
constexpr int kMinTasks = 12;  // columns worth filling with names of tasks
constexpr size_t kNamesKept = 32;

constexpr absl::string_view kGreen = "\x1b[32m";
constexpr absl::string_view kRed = "\x1b[31m";
constexpr absl::string_view kYellow = "\x1b[33m";
constexpr absl::string_view kCyan = "\x1b[36m";
constexpr absl::string_view kDim = "\x1b[2m";
constexpr absl::string_view kBold = "\x1b[1m";
constexpr absl::string_view kPlain = "\x1b[0m";

// Text with its width on the screen, to which colours and the extra bytes of UTF-8 add nothing.
class Line {
 public:
  explicit Line(const LineStyle& style) : style_(style) {}
  void Add(absl::string_view text, int columns, absl::string_view color = "") {
    if (style_.color && !color.empty()) {
      absl::StrAppend(&text_, color, text, kPlain);
    } else {
      absl::StrAppend(&text_, text);
    }
    columns_ += columns;
  }
  // Of ASCII.
  void Add(absl::string_view text, absl::string_view color = "") {
    Add(text, static_cast<int>(text.size()), color);
  }
  void Append(const Line& other) {
    text_ += other.text_;
    columns_ += other.columns_;
  }
  int columns() const { return columns_; }
  std::string&& Take() { return std::move(text_); }

 private:
  const LineStyle& style_;
  std::string text_;
  int columns_ = 0;
};

// ASCII `text` in at most `columns`, with a mark where it was cut.
void AddCut(Line* line, absl::string_view text, int columns, const LineStyle& style,
            absl::string_view color) {
  if (static_cast<int>(text.size()) <= columns) {
    line->Add(text, color);
  } else if (columns > 2) {
    const int mark = style.unicode ? 1 : 2;
    line->Add(absl::StrCat(text.substr(0, columns - mark), style.unicode ? "\u2026" : ".."),
              columns, color);
  }
}

std::string Repeat(absl::string_view text, int64_t times) {
  std::string repeated;
  for (; times > 0; --times) absl::StrAppend(&repeated, text);
  return repeated;
}

void AddBar(Line* line, const v1::TaskCounts& counts, int columns, const LineStyle& style) {
  const int64_t total = std::max(1, counts.total());
  const int64_t bad = int64_t{counts.failed()} + counts.cancelled() + counts.skipped();
  const int64_t active = int64_t{counts.running()} + counts.launching();
  // Each part ends where all tasks up to it end, so that rounding leaves no gap.
  const auto cells = [&](int64_t tasks) { return std::min(tasks, total) * columns / total; };
  int64_t good_end = cells(counts.succeeded());
  int64_t bad_end = cells(counts.succeeded() + bad);
  if (bad > 0 && bad_end == good_end) {
    // What went wrong shows, however little it is.
    if (good_end == columns) {
      --good_end;
    } else {
      ++bad_end;
    }
  }
  int64_t active_end = std::max(bad_end, cells(counts.succeeded() + bad + active));
  if (active > 0 && active_end == bad_end && bad_end < columns) ++active_end;

  const auto add = [&](int64_t n, absl::string_view utf8, absl::string_view ascii,
                       absl::string_view color) {
    if (n > 0) line->Add(Repeat(style.unicode ? utf8 : ascii, n), static_cast<int>(n), color);
  };
  add(good_end, "\u2588", "#", kGreen);
  // Without colours the parts must differ by their shape.
  add(bad_end - good_end, style.color ? "\u2588" : "\u2573", "x",
      counts.failed() > 0 ? kRed : kYellow);
  add(active_end - bad_end, "\u2592", "=", kCyan);
  add(columns - active_end, "\u2591", ".", kDim);
}

// "  4 running", where there are any.
void AddCount(Line* line, int count, absl::string_view what, absl::string_view color) {
  if (count > 0) line->Add(absl::StrCat("  ", count, " ", what), color);
}

void AddRunning(Line* line, const ProgressState& state, int columns, const LineStyle& style) {
  if (state.running.empty() || columns < kMinTasks) return;
  const int others_columns = 6;  // for "  +1234"
  Line names(style);
  size_t shown = 0;
  for (const std::string& name : state.running) {
    const int separator = shown == 0 ? 2 : 1;
    const int left = columns - names.columns() - separator;
    const bool last = shown + 1 == static_cast<size_t>(state.counts.running());
    const int room = left - (last ? 0 : others_columns);
    if (static_cast<int>(name.size()) > room && (shown > 0 || room < kMinTasks / 2)) break;
    names.Add(Repeat(" ", separator));
    AddCut(&names, name, room, style, kDim);
    ++shown;
  }
  const int64_t others = state.counts.running() - static_cast<int64_t>(shown);
  if (shown > 0 && others > 0) {
    const std::string more = absl::StrCat(" +", others);
    if (names.columns() + static_cast<int>(more.size()) <= columns) names.Add(more, kDim);
  }
  line->Append(names);
}

}  // namespace

std::string RenderLine(const ProgressState& state, const LineStyle& style) {
  const int width = std::max(1, style.width - 1);
  const v1::TaskCounts& counts = state.counts;
  const int64_t share =
      counts.total() == 0 ? 0 : int64_t{100} * counts.succeeded() / counts.total();

  Line figures(style);
  figures.Add(absl::StrCat(share < 10 ? "  " : share < 100 ? " " : "", share, "%"));
  figures.Add(absl::StrCat("  ", counts.succeeded(), "/", counts.total()));
  AddCount(&figures, counts.failed(), "failed", kRed);
  AddCount(&figures, counts.running() + counts.launching(), "running", kCyan);
  AddCount(&figures, counts.skipped(), "skipped", kYellow);
  AddCount(&figures, counts.cancelled(), "cancelled", kYellow);
  const std::string clock = absl::StrCat("  ", FormatClock(state.elapsed));
  figures.Add(clock);

  if (figures.columns() > width) {
    // Too narrow for more than the figures that matter most.
    const std::string least =
        absl::StrCat(share, "% ", counts.succeeded(), "/", counts.total(),
                     counts.failed() > 0 ? absl::StrCat(" !", counts.failed()) : "");
    Line line(style);
    line.Add(absl::string_view(least).substr(0, width));
    return line.Take();
  }

  Line line(style);
  int left = width - figures.columns();
  const int name_columns = std::min<int>(static_cast<int>(state.name.size()), kMaxNameColumns);
  if (left >= name_columns + 1 + kMinBar + 1) {
    AddCut(&line, state.name, name_columns, style, kBold);
    line.Add(" ");
    left -= line.columns();
  }
  if (left >= kMinBar + 1) {
    // By the window alone, so that the bar does not move when the words beside it change.
    const int bar = std::min(std::clamp(style.width / 5, kMinBar, kMaxBar), left - 1);
    AddBar(&line, counts, bar, style);
    line.Add(" ");
  }
  line.Append(figures);
  left = width - line.columns();
  if (!state.notice.empty()) {
    if (left > kMinTasks) {
      line.Add("  ");
      AddCut(&line, state.notice, left - 2, style, kYellow);
    }
  } else {
    AddRunning(&line, state, left, style);
  }
  return line.Take();
}

std::string RenderPlain(const ProgressState& state) {
  const v1::TaskCounts& counts = state.counts;
  std::string line = absl::StrCat(FormatClock(state.elapsed), " ", state.name, ": ",
                                  counts.succeeded(), " of ", counts.total(), " done");
  const auto add = [&line](int count, absl::string_view what) {
    if (count > 0) absl::StrAppend(&line, ", ", count, " ", what);
  };
  add(counts.running() + counts.launching(), "running");
  add(counts.failed(), "failed");
  add(counts.skipped(), "skipped");
  add(counts.cancelled(), "cancelled");
  if (!state.notice.empty()) absl::StrAppend(&line, "; ", state.notice);
  return line;
}

Progress::Progress(Terminal terminal, absl::Time started,
                   std::function<void(absl::string_view)> write)
    : terminal_(std::move(terminal)), started_(started), write_(std::move(write)) {}

void Progress::Update(const v1::WatchGraphResponse& update, const Instant& now) {
  known_ = true;
  changed_ = true;
  graph_ = update.graph();
  for (const auto& change : update.changes()) {
    const auto found = running_order_.find(change.task_name());
    if (change.state() == v1::TASK_STATE_RUNNING) {
      if (found == running_order_.end()) {
        running_order_[change.task_name()] = next_order_;
        running_[next_order_++] = change.task_name();
      }
    } else if (found != running_order_.end()) {
      running_.erase(found->second);
      running_order_.erase(found);
    }
    if (change.state() == v1::TASK_STATE_FAILED) SayFailure(change);
  }
  Show(now);
}

void Progress::SetRunning(const std::vector<std::string>& names) {
  running_.clear();
  running_order_.clear();
  for (const std::string& name : names) {
    running_order_[name] = next_order_;
    running_[next_order_++] = name;
  }
}

void Progress::SetNotice(absl::string_view notice, const Instant& now) {
  if (notice_ == notice) return;
  notice_ = std::string(notice);
  changed_ = true;
  if (!terminal_.interactive && !notice_.empty())
    shown_ = SteadyTime::InfinitePast();  // say it now
  Show(now);
}

void Progress::Tick(const Instant& now) {
  if (terminal_.interactive && now.steady - shown_ >= kClock) changed_ = true;
  if (changed_) Show(now);
}

void Progress::Finish(const Instant& now) {
  if (terminal_.interactive) {
    shown_ = SteadyTime::InfinitePast();
    Show(now);
    if (line_drawn_) write_("\n");
    line_drawn_ = false;
  } else if (changed_ && known_) {
    Say(RenderPlain(StateAt(now)));
  }
  changed_ = false;
}

void Progress::Show(const Instant& now) {
  if (!known_) return;
  const ProgressState state = StateAt(now);
  if (terminal_.interactive) {
    if (now.steady - shown_ < kRedraw) return;
    const LineStyle style{terminal_.width(), terminal_.color, terminal_.unicode};
    write_(absl::StrCat("\r", RenderLine(state, style), "\x1b[K"));
    line_drawn_ = true;
  } else {
    // Less often the longer it takes: a night's run should not fill a log.
    const absl::Duration pause =
        std::clamp(state.elapsed / 20, absl::Seconds(1), absl::Seconds(30));
    if (now.steady - shown_ < pause) return;
    Say(RenderPlain(state));
  }
  shown_ = now.steady;
  changed_ = false;
}

void Progress::Say(absl::string_view line) {
  // On a terminal above the redrawn line, which the next Show draws again.
  write_(absl::StrCat(line_drawn_ ? "\r\x1b[K" : "", line, "\n"));
  if (line_drawn_) shown_ = SteadyTime::InfinitePast();
  line_drawn_ = false;
}

void Progress::SayFailure(const v1::WatchGraphResponse::Change& change) {
  if (++failures_said_ > kMaxFailuresSaid) return;
  const std::string line =
      absl::StrCat("FAILED ", change.task_name(), ": ", Printable(change.reason()));
  Say(terminal_.color ? absl::StrCat(kRed, line, kPlain) : line);
  if (failures_said_ == kMaxFailuresSaid) Say("further failures are only counted");
}

ProgressState Progress::StateAt(const Instant& now) {
  ProgressState state;
  state.name = graph_.spec().name();
  state.counts = graph_.counts();
  const absl::Time start =
      started_ == absl::InfinitePast() ? FromProto(graph_.submit_time()) : started_;
  const absl::Time end =
      graph_.has_end_time() ? std::min(now.wall, FromProto(graph_.end_time())) : now.wall;
  // The graph may have ended before what was shown last, and a wall clock may be set back.
  elapsed_ = std::max(elapsed_, end - start);
  state.elapsed = elapsed_;
  for (const auto& [order, name] : running_) {
    // The counts are newer where changes come in several messages.
    if (state.running.size() == kNamesKept ||
        std::cmp_greater_equal(state.running.size(), graph_.counts().running())) {
      break;
    }
    state.running.push_back(name);
  }
  state.notice = notice_;
  return state;
}

}  // namespace kartograph::cli
