#include "executor/local/cgroup_setting.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/status/statusor.h"

namespace kartograph::executor::local {

std::unique_ptr<CgroupPool> MakeCgroupPool(const std::string& setting) {
  if (setting == "off") return nullptr;
  const absl::StatusOr<std::string> parent =
      setting == "auto" ? PrepareOwnCgroup() : absl::StatusOr<std::string>(setting);
  absl::Status problem = parent.status();
  if (problem.ok()) {
    absl::StatusOr<std::unique_ptr<CgroupPool>> pool = CgroupPool::Create(*parent);
    if (pool.ok()) {
      spdlog::info("memory limits are kept by cgroups in {}", *parent);
      return *std::move(pool);
    }
    problem = pool.status();
  }
  spdlog::info("memory limits are kept by measuring: {}", std::string(problem.message()));
  return nullptr;
}

}  // namespace kartograph::executor::local
