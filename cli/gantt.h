// A Gantt chart: what runs when and where.
#ifndef KARTOGRAPH_CLI_GANTT_H_
#define KARTOGRAPH_CLI_GANTT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "forecast/forecast.h"
#include "forecast/simulate.h"

namespace kartograph::cli {

// More bars than these are not drawn: the longest are. Nor are more rows.
inline constexpr size_t kMaxGanttBars = 50000;
inline constexpr size_t kMaxGanttRows = 2000;

// An SVG image of its own, 1200 pixels wide. Each agent that runs something is a lane, with as many
// rows as tasks run there at once; a bar is a task, with its name as its title, coloured by the
// names of tasks without their numbers, with a frame on the critical path. Below them is what is
// used of pools and of all agents' resources over time.
std::string GanttChart(const forecast::Graph& graph, const forecast::Cluster& cluster,
                       const std::vector<std::string>& agent_names,
                       const forecast::Forecast& forecast);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_GANTT_H_
