#include "service/http/metric_family.h"

#include <gtest/gtest.h>

namespace kartograph::service {
namespace {

TEST(MetricFamilyTest, SaysNameHelpTypeAndValues) {
  EXPECT_EQ(MetricFamily::Gauge("agents", "Agents, connected or not.")
                .Add(2, {{"connected", "true"}, {"kept_by", "kernel"}})
                .Add(0, {{"connected", "false"}})
                .Take(),
            "# HELP agents Agents, connected or not.\n"
            "# TYPE agents gauge\n"
            "agents{connected=\"true\",kept_by=\"kernel\"} 2\n"
            "agents{connected=\"false\"} 0\n");
  EXPECT_EQ(MetricFamily::Counter("commits_total", "Transactions.").Take(),
            "# HELP commits_total Transactions.\n"
            "# TYPE commits_total counter\n");
}

TEST(MetricFamilyTest, EscapesWhatWouldEndALabel) {
  MetricFamily family = MetricFamily::Gauge("used", "Units.");
  const std::string head = MetricFamily(family).Take();
  EXPECT_EQ(family.Add(1, {{"pool", "a\\b\"c\nd"}}).Take(),
            head + "used{pool=\"a\\\\b\\\"c\\nd\"} 1\n");
}

TEST(MetricFamilyTest, WritesLargeCountsAndTimesWithoutLoss) {
  MetricFamily family = MetricFamily::Counter("x", "");
  const std::string head = MetricFamily(family).Take();
  EXPECT_EQ(family.Add(1234567890123456.0).Add(1714571110.25).Add(1e-7).Add(1.0 / 3).Take(),
            head + "x 1234567890123456\nx 1714571110.25\nx 1e-07\nx 0.3333333333333333\n");
}

}  // namespace
}  // namespace kartograph::service
