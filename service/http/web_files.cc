#include "service/http/web_files.h"

#include "absl/strings/match.h"

namespace kartograph::service {

absl::string_view ContentTypeOf(absl::string_view name) {
  constexpr struct {
    absl::string_view ending;
    absl::string_view type;
  } kTypes[] = {
      {".html", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".svg", "image/svg+xml"},
  };
  for (const auto& [ending, type] : kTypes) {
    if (absl::EndsWith(name, ending)) return type;
  }
  return "";
}

}  // namespace kartograph::service
