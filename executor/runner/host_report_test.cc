#include "executor/runner/host_report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/time/clock.h"

namespace kartograph::executor {
namespace {

void WriteFile(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(HostReportTest, ReadsWhatTheKernelSays) {
  const std::string proc = testing::TempDir() + "/proc";
  std::filesystem::create_directories(proc + "/net");
  WriteFile(proc + "/stat",
            "cpu  1000 200 300 40000 50 6 7 8 9 10\n"
            "cpu0 500 100 150 20000 25 3 3 4 4 5\n"
            "cpu1 500 100 150 20000 25 3 4 4 5 5\n"
            "intr 123 4 5\nctxt 99\n");
  WriteFile(proc + "/loadavg", "1.25 0.50 0.10 2/345 6789\n");
  WriteFile(proc + "/meminfo",
            "MemTotal:       16384 kB\nMemFree:          100 kB\nMemAvailable:    8192 kB\n");
  WriteFile(proc + "/net/dev",
            "Inter-|   Receive                            |  Transmit\n"
            " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"
            "    lo: 5000 1 0 0 0 0 0 0 5000 1 0 0 0 0 0 0\n"
            "  eth0: 1000 2 0 0 0 0 0 0 200 3 0 0 0 0 0 0\n"
            "wlan0:99 2 0 0 0 0 0 0 22 3 0 0 0 0 0 0\n");
  const absl::Time before = absl::Now();
  const HostReport report = ReadHostReport(proc, proc);
  const absl::Duration tick = absl::Seconds(1) / sysconf(_SC_CLK_TCK);
  EXPECT_GE(report.time, before);
  EXPECT_LE(report.time, absl::Now());
  EXPECT_EQ(report.agent, "");
  EXPECT_EQ(report.cpus, 2);
  EXPECT_EQ(report.load, 1.25);
  EXPECT_EQ(report.cpu_user, 1200 * tick);
  EXPECT_EQ(report.cpu_system, 313 * tick);
  EXPECT_EQ(report.cpu_idle, 40000 * tick);
  EXPECT_EQ(report.cpu_wait, 50 * tick);
  EXPECT_EQ(report.ram_bytes, 16u << 20);
  EXPECT_EQ(report.ram_available_bytes, 8u << 20);
  EXPECT_EQ(report.received_bytes, 1099u);
  EXPECT_EQ(report.sent_bytes, 222u);
  EXPECT_GT(report.disk_bytes, 0u);
  EXPECT_LE(report.disk_free_bytes, report.disk_bytes);
}

TEST(HostReportTest, LeavesOutWhatIsNotThere) {
  const HostReport report = ReadHostReport("/nowhere", "/nowhere");
  EXPECT_EQ(report.cpus, 0);
  EXPECT_EQ(report.load, 0);
  EXPECT_EQ(report.ram_bytes, 0u);
  EXPECT_EQ(report.disk_bytes, 0u);
  EXPECT_EQ(report.sent_bytes, 0u);
}

TEST(HostReportTest, KnowsThisHost) {
  const HostReport report = ReadHostReport("/proc", testing::TempDir());
  EXPECT_GT(report.cpus, 0);
  EXPECT_GT(report.cpu_user + report.cpu_idle, absl::ZeroDuration());
  EXPECT_GT(report.ram_bytes, report.ram_available_bytes);
}

}  // namespace
}  // namespace kartograph::executor
