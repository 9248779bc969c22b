#include "planner/cap.h"

namespace kartograph::planner {

void Holding::Take(const ResourceVector& consumption) {
  ++running;
  resources += consumption;
}

void Holding::Give(const ResourceVector& consumption) {
  --running;
  resources -= consumption;
}

std::optional<AtCap> WhyOverCap(const Cap& cap, const Holding& holding,
                                const ResourceVector& consumption) {
  if (holding.running >= cap.running) {
    return AtCap{std::nullopt, Quantity::Of(1), Quantity::Of(holding.running),
                 Quantity::Of(cap.running)};
  }
  for (const ResourceVector::Entry& most : cap.resources) {
    const Quantity need = consumption.Get(most.resource);
    if (need.is_zero()) continue;
    const Quantity held = holding.resources.Get(most.resource);
    if (held + need > most.quantity) return AtCap{most.resource, need, held, most.quantity};
  }
  return std::nullopt;
}

bool IsOverCap(const Cap& cap, const Holding& holding, const ResourceVector& consumption) {
  return cap.any() && WhyOverCap(cap, holding, consumption).has_value();
}

}  // namespace kartograph::planner
