// What make, Snakemake, Airflow, Dask, Compose and others call what a graph file says.
#ifndef KARTOGRAPH_CLI_FOREIGN_WORDS_H_
#define KARTOGRAPH_CLI_FOREIGN_WORDS_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kartograph::cli {

struct ForeignKey {
  absl::string_view key;
  absl::string_view ours;
  absl::string_view how = "";  // what else to know, after our key
};

// The entry of a foreign key whose meaning is one of `known`; null where there is none.
const ForeignKey* FindForeignKey(absl::string_view key, absl::Span<const absl::string_view> known);

// "cpu" or "ram", where another name is usual for it; otherwise nothing.
absl::string_view ResourceMeant(absl::string_view name);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_FOREIGN_WORDS_H_
