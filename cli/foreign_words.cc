#include "cli/foreign_words.h"

#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"

namespace kartograph::cli {
namespace {

constexpr ForeignKey kForeignKeys[] = {
    {"needs", "after"},
    {"depends", "after"},
    {"depends_on", "after"},
    {"dependsOn", "after"},
    {"dependencies", "after"},
    {"deps", "after"},
    {"requires", "after"},
    {"upstream", "after"},
    {"input", "after", " (the tasks that make it)"},
    {"inputs", "after", " (the tasks that make them)"},
    {"id", "name"},
    {"task", "name"},
    {"rule", "name"},
    {"target", "name"},
    {"env", "environment"},
    {"envs", "environment"},
    {"cmd", "command"},
    {"run", "command"},
    {"script", "command"},
    {"shell", "command"},
    {"exec", "command"},
    {"args", "command", " (a list of the program and its arguments)"},
    {"retries", "max_attempts", " (one more than the retries)"},
    {"max_retries", "max_attempts", " (one more than the retries)"},
    {"retry", "max_attempts", " (one more than the retries)"},
    {"attempts", "max_attempts"},
    {"tries", "max_attempts"},
    {"time", "timeout"},
    {"time_limit", "timeout"},
    {"timelimit", "timeout"},
    {"walltime", "timeout"},
    {"runtime", "expected_duration"},
    {"duration", "expected_duration"},
    {"cwd", "directory"},
    {"workdir", "directory"},
    {"working_dir", "directory"},
    {"working_directory", "directory"},
    {"dir", "directory"},
    {"resources", "consumption"},
    {"requests", "consumption"},
    {"limits", "consumption"},
    {"cpu", "consumption", " with \"cpu\" in it"},
    {"cpus", "consumption", " with \"cpu\" in it"},
    {"cores", "consumption", " with \"cpu\" in it"},
    {"threads", "consumption", " with \"cpu\" in it"},
    {"ram", "consumption", " with \"ram\" in it"},
    {"mem", "consumption", " with \"ram\" in it"},
    {"memory", "consumption", " with \"ram\" in it"},
    {"mem_mb", "consumption", " with \"ram\" in it"},
    {"gpu", "consumption", " with \"gpu\" in it"},
    {"gpus", "consumption", " with \"gpu\" in it"},
    {"pool", "consumption", " with the pool's name in it"},
    {"pools", "consumption", " with the pools' names in it"},
    {"image", "container", " with \"image\" in it"},
    {"steps", "tasks"},
    {"jobs", "tasks"},
    {"nodes", "tasks"},
    {"rules", "tasks"},
    {"stages", "tasks"},
    // What each task has stands at the top level only as a default.
    {"consumption", "defaults", " with \"consumption\" in it"},
    {"environment", "defaults", " with \"environment\" in it"},
    {"directory", "defaults", " with \"directory\" in it"},
    {"timeout", "defaults", " with \"timeout\" in it"},
    {"max_attempts", "defaults", " with \"max_attempts\" in it"},
    {"retry_delay", "defaults", " with \"retry_delay\" in it"},
    {"max_retry_delay", "defaults", " with \"max_retry_delay\" in it"},
    {"cancel_grace", "defaults", " with \"cancel_grace\" in it"},
    {"priority", "defaults", " with \"priority\" in it"},
    {"unreachable_timeout", "defaults", " with \"unreachable_timeout\" in it"},
    {"max_losses", "defaults", " with \"max_losses\" in it"},
    {"container", "defaults", " with \"container\" in it"},
    {"shell", "defaults", " with \"shell\" in it"},
    {"retry_on", "defaults", " with \"retry_on\" in it"},
    {"no_retry_on", "defaults", " with \"no_retry_on\" in it"},
    {"constraints", "defaults", " with \"constraints\" in it"},
    {"spread", "defaults", " with \"spread\" in it"},
    {"avoid_last_failure", "defaults", " with \"avoid_last_failure\" in it"},
};

constexpr absl::string_view kCpu[] = {"cpu",    "cpus",    "core", "cores",
                                      "thread", "threads", "vcpu", "vcpus"};
constexpr absl::string_view kRam[] = {"ram",    "mem",    "memory", "mem_mb",
                                      "mem_gb", "ram_mb", "ram_gb"};

}  // namespace

const ForeignKey* FindForeignKey(absl::string_view key, absl::Span<const absl::string_view> known) {
  for (const ForeignKey& foreign : kForeignKeys) {
    if (foreign.key == key && absl::c_linear_search(known, foreign.ours)) return &foreign;
  }
  return nullptr;
}

absl::string_view ResourceMeant(absl::string_view name) {
  if (name == "cpu" || name == "ram") return "";
  const std::string lower = absl::AsciiStrToLower(name);
  if (absl::c_linear_search(kCpu, lower)) return "cpu";
  return absl::c_linear_search(kRam, lower) ? "ram" : "";
}

}  // namespace kartograph::cli
