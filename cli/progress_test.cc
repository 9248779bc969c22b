#include "cli/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace kartograph::cli {
namespace {

v1::TaskCounts Counts(int total, int succeeded, int running, int failed, int skipped = 0) {
  v1::TaskCounts counts;
  counts.set_total(total);
  counts.set_succeeded(succeeded);
  counts.set_running(running);
  counts.set_failed(failed);
  counts.set_skipped(skipped);
  return counts;
}

ProgressState MapRelease() {
  ProgressState state;
  state.name = "map_release";
  state.counts = Counts(226, 118, 4, 0);
  state.elapsed = absl::Seconds(42);
  state.running = {"measure_FR", "measure_DE", "measure_IT", "measure_ES"};
  return state;
}

std::string Line(const ProgressState& state, int width) {
  return RenderLine(state, {.width = width, .color = false, .unicode = false});
}

// Columns on the screen, of UTF-8 with colours.
int Columns(absl::string_view text) {
  int columns = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      while (text[i] != 'm') ++i;
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
      ++columns;
    }
  }
  return columns;
}

TEST(ProgressLineTest, ShowsNameBarCountsTimeAndRunningTasks) {
  EXPECT_EQ(Line(MapRelease(), 110),
            "map_release ###########=..........  52%  118/226  4 running  0:42  measure_FR "
            "measure_DE measure_IT +1");
}

TEST(ProgressLineTest, ShowsFailuresHoweverFew) {
  ProgressState state = MapRelease();
  state.counts = Counts(10000, 9990, 0, 1, 9);
  state.running.clear();
  EXPECT_EQ(Line(state, 120),
            "map_release #######################x  99%  9990/10000  1 failed  9 skipped  0:42");
}

TEST(ProgressLineTest, LeavesOutTheLeastImportantWhereThereIsNoRoom) {
  EXPECT_EQ(Line(MapRelease(), 80),
            "map_release ########=.......  52%  118/226  4 running  0:42  measure_FR +3");
  EXPECT_EQ(Line(MapRelease(), 60), "map_release ######=.....  52%  118/226  4 running  0:42");
  EXPECT_EQ(Line(MapRelease(), 45), "#####=....  52%  118/226  4 running  0:42");
  EXPECT_EQ(Line(MapRelease(), 35), " 52%  118/226  4 running  0:42");
  EXPECT_EQ(Line(MapRelease(), 20), "52% 118/226");
  EXPECT_EQ(Line(MapRelease(), 5), "52% ");
}

TEST(ProgressLineTest, NeverTakesMoreThanTheWidth) {
  ProgressState state = MapRelease();
  state.name = std::string(100, 'n');
  state.counts = Counts(1000000, 400000, 5000, 12, 100);
  state.running.assign(50, std::string(60, 't'));
  for (const bool notice : {false, true}) {
    state.notice = notice ? "service unavailable, retrying" : "";
    for (int width = 1; width < 300; ++width) {
      for (const bool unicode : {false, true}) {
        const std::string line = RenderLine(state, {width, true, unicode});
        EXPECT_LE(Columns(line), std::max(1, width - 1)) << line;
        EXPECT_EQ(line.find('\n'), std::string::npos);
      }
    }
  }
}

TEST(ProgressLineTest, HasNoEscapesWithoutColour) {
  ProgressState state = MapRelease();
  state.counts = Counts(10, 3, 2, 1, 1);
  EXPECT_EQ(RenderLine(state, {120, false, true}).find('\x1b'), std::string::npos);
  EXPECT_NE(RenderLine(state, {120, true, true}).find('\x1b'), std::string::npos);
}

TEST(ProgressLineTest, StaysWellFormedForAnEmptyGraph) {
  ProgressState state;
  state.name = "x";
  EXPECT_EQ(Line(state, 60), "x ............   0%  0/0  0:00");
}

TEST(ProgressLineTest, ShowsANoticeInsteadOfTheRunningTasks) {
  ProgressState state = MapRelease();
  state.notice = "the service is unavailable";
  EXPECT_EQ(Line(state, 110),
            "map_release ###########=..........  52%  118/226  4 running  0:42  the service is "
            "unavailable");
}

TEST(ProgressLineTest, SaysTheSameInWordsForAPipe) {
  ProgressState state = MapRelease();
  state.counts = Counts(226, 118, 4, 1, 3);
  EXPECT_EQ(RenderPlain(state),
            "0:42 map_release: 118 of 226 done, 4 running, 1 failed, 3 skipped");
}

// Collects what a Progress writes.
class ProgressTest : public ::testing::Test {
 protected:
  v1::WatchGraphResponse Update(const v1::TaskCounts& counts) {
    v1::WatchGraphResponse update;
    update.mutable_graph()->mutable_spec()->set_name("g");
    update.mutable_graph()->mutable_submit_time()->set_seconds(1000);
    *update.mutable_graph()->mutable_counts() = counts;
    return update;
  }
  static void AddChange(v1::WatchGraphResponse* update, const char* task, v1::TaskState state,
                        const char* reason = "") {
    auto* change = update->add_changes();
    change->set_task_name(task);
    change->set_state(state);
    change->set_reason(reason);
  }
  static Instant At(double seconds) {
    return {SteadyTime::FromSinceZero(absl::Hours(1) + absl::Seconds(seconds)),
            absl::FromUnixSeconds(1000) + absl::Seconds(seconds)};
  }
  Progress Make(bool interactive) {
    Terminal terminal;
    terminal.interactive = interactive;
    terminal.width = [this] { return width_; };
    return Progress(terminal, absl::InfinitePast(),
                    [this](absl::string_view text) { written_ += std::string(text); });
  }
  std::string Taken() { return std::exchange(written_, ""); }

  int width_ = 60;
  std::string written_;
};

TEST_F(ProgressTest, SaysInAPipeOnlyWhatChangedAndAtMostOnceASecond) {
  Progress progress = Make(false);
  progress.Update(Update(Counts(10, 0, 0, 0)), At(0));
  EXPECT_EQ(Taken(), "0:00 g: 0 of 10 done\n");
  progress.Update(Update(Counts(10, 1, 1, 0)), At(0.3));
  progress.Update(Update(Counts(10, 2, 1, 0)), At(0.6));
  EXPECT_EQ(Taken(), "");
  progress.Tick(At(1.1));
  EXPECT_EQ(Taken(), "0:01 g: 2 of 10 done, 1 running\n");
  for (int i = 2; i < 100; ++i) progress.Tick(At(i));
  EXPECT_EQ(Taken(), "");  // nothing changed
  progress.Finish(At(100));
  EXPECT_EQ(Taken(), "");
}

TEST_F(ProgressTest, SaysTheLastStateInAPipe) {
  Progress progress = Make(false);
  progress.Update(Update(Counts(2, 0, 2, 0)), At(0));
  progress.Update(Update(Counts(2, 2, 0, 0)), At(0.2));
  progress.Finish(At(0.2));
  EXPECT_EQ(Taken(), "0:00 g: 0 of 2 done, 2 running\n0:00 g: 2 of 2 done\n");
}

TEST_F(ProgressTest, TimeNeverGoesBack) {
  Progress progress = Make(false);
  progress.Update(Update(Counts(2, 0, 2, 0)), At(5.1));
  // It had ended before it was shown to run.
  v1::WatchGraphResponse ended = Update(Counts(2, 2, 0, 0));
  ended.mutable_graph()->mutable_end_time()->set_seconds(1004);
  progress.Update(ended, At(5.2));
  progress.Finish(At(5.2));
  EXPECT_EQ(Taken(), "0:05 g: 0 of 2 done, 2 running\n0:05 g: 2 of 2 done\n");
}

TEST_F(ProgressTest, SpeaksLessOftenTheLongerItTakes) {
  Progress progress = Make(false);
  int lines = 0;
  for (int second = 0; second < 3600; ++second) {
    progress.Update(Update(Counts(10000, second, 1, 0)), At(second));
    lines += Taken().empty() ? 0 : 1;
  }
  EXPECT_LT(lines, 250);
  EXPECT_GT(lines, 100);
}

TEST_F(ProgressTest, SaysEachFailureAtOnceUntilThereAreMany) {
  Progress progress = Make(false);
  progress.Update(Update(Counts(100, 0, 1, 0)), At(0));
  Taken();
  v1::WatchGraphResponse update = Update(Counts(100, 0, 1, 1));
  AddChange(&update, "decode", v1::TASK_STATE_FAILED, "exit\x1b[31m status 3\nend");
  progress.Update(update, At(0.1));
  EXPECT_EQ(Taken(), "FAILED decode: exit status 3 end\n");
  for (int i = 0; i < 50; ++i) progress.Update(update, At(0.2));
  std::string text = Taken();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 20);
  EXPECT_TRUE(text.ends_with("further failures are only counted\n"));
}

TEST_F(ProgressTest, RedrawsOneLineOnATerminalAndFollowsItsWidth) {
  Progress progress = Make(true);
  v1::WatchGraphResponse update = Update(Counts(4, 1, 1, 0));
  AddChange(&update, "a", v1::TASK_STATE_RUNNING);
  progress.Update(update, At(0));
  EXPECT_EQ(Taken(), "\rg ###===......  25%  1/4  1 running  0:00  a\x1b[K");
  progress.Update(Update(Counts(4, 2, 1, 0)), At(0.05));
  EXPECT_EQ(Taken(), "");  // too soon
  width_ = 30;
  progress.Tick(At(0.2));
  EXPECT_EQ(Taken(), "\r 50%  2/4  1 running  0:00\x1b[K");
  progress.Tick(At(0.5));
  EXPECT_EQ(Taken(), "");
  progress.Tick(At(1.3));  // the clock goes on
  EXPECT_EQ(Taken(), "\r 50%  2/4  1 running  0:01\x1b[K");
  progress.Finish(At(1.4));
  EXPECT_EQ(Taken(), "\r 50%  2/4  1 running  0:01\x1b[K\n");
}

TEST_F(ProgressTest, PutsFailuresAboveTheRedrawnLine) {
  Progress progress = Make(true);
  progress.Update(Update(Counts(4, 1, 1, 0)), At(0));
  Taken();
  v1::WatchGraphResponse update = Update(Counts(4, 1, 0, 1));
  AddChange(&update, "a", v1::TASK_STATE_FAILED, "why");
  progress.Update(update, At(0.01));
  const std::string text = Taken();
  EXPECT_TRUE(text.starts_with("\r\x1b[KFAILED a: why\n\rg ")) << text;
}

TEST_F(ProgressTest, ShowsTheTasksThatRunTheOldestFirst) {
  width_ = 120;
  Progress progress = Make(true);
  progress.SetRunning({"old"});
  v1::WatchGraphResponse update = Update(Counts(9, 0, 3, 0));
  AddChange(&update, "b", v1::TASK_STATE_RUNNING);
  AddChange(&update, "a", v1::TASK_STATE_RUNNING);
  progress.Update(update, At(0));
  EXPECT_TRUE(Taken().ends_with("0:00  old b a\x1b[K"));
  update = Update(Counts(9, 1, 2, 0));
  AddChange(&update, "old", v1::TASK_STATE_SUCCEEDED);
  progress.Update(update, At(5));
  EXPECT_TRUE(Taken().ends_with("0:05  b a\x1b[K"));
}

TEST_F(ProgressTest, SaysAtOnceThatTheServiceIsAway) {
  Progress progress = Make(false);
  progress.Update(Update(Counts(4, 1, 1, 0)), At(0));
  Taken();
  progress.SetNotice("the service is unavailable", At(0.1));
  EXPECT_EQ(Taken(), "0:00 g: 1 of 4 done, 1 running; the service is unavailable\n");
  progress.SetNotice("the service is unavailable", At(9));
  EXPECT_EQ(Taken(), "");
}

}  // namespace
}  // namespace kartograph::cli
