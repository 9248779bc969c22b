#include "executor/local/cgroup_setting.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "executor/memory_limits.h"

namespace kartograph::executor::local {
namespace {

absl::StatusOr<std::unique_ptr<CgroupPool>> MakePool(const std::string& setting) {
  if (setting == "off") return absl::FailedPreconditionError("--cgroup off");
  if (setting != "auto") return CgroupPool::Create(setting);
  const absl::StatusOr<std::string> own = PrepareOwnCgroup();
  if (!own.ok()) return own.status();
  return CgroupPool::Create(*own);
}

}  // namespace

MemoryLimits MakeMemoryLimits(const std::string& setting) {
  absl::StatusOr<std::unique_ptr<CgroupPool>> pool = MakePool(setting);
  if (pool.ok()) {
    spdlog::info("memory limits are kept by the kernel, with cgroups in {}", (*pool)->parent());
    return {*std::move(pool), kKeptByKernel};
  }
  const std::string why(pool.status().message());
  spdlog::info("memory limits are kept by measuring: {}", why);
  return {nullptr, absl::StrCat(kKeptByMeasuring, ": ", why)};
}

}  // namespace kartograph::executor::local
