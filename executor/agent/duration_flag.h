// Durations among the flags of the programs that own attempts.
#ifndef KARTOGRAPH_EXECUTOR_AGENT_DURATION_FLAG_H_
#define KARTOGRAPH_EXECUTOR_AGENT_DURATION_FLAG_H_

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/duration.h"

namespace kartograph::executor {

// `--name DURATION`, in the grammar of base/duration.h; longer than zero. `duration` outlives the
// parsing.
inline void AddDurationFlag(CLI::App& app, const std::string& name, absl::Duration* duration,
                            const std::string& help) {
  const auto problem = [](const std::string& text) -> std::string {
    const absl::StatusOr<absl::Duration> parsed = ParseDuration(text);
    if (!parsed.ok()) return absl::StrCat("\"", text, "\" ", parsed.status().message());
    if (*parsed <= absl::ZeroDuration()) return "must be longer than 0";
    return "";
  };
  app.add_option_function<std::string>(
         name, [duration](const std::string& text) { *duration = *ParseDuration(text); }, help)
      ->check(CLI::Validator(problem, "DURATION"))
      ->type_name("");
}

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_AGENT_DURATION_FLAG_H_
