// The status page's files, embedded into the binary by the build.
#ifndef KARTOGRAPH_SERVICE_HTTP_WEB_FILES_H_
#define KARTOGRAPH_SERVICE_HTTP_WEB_FILES_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kartograph::service {

struct WebFile {
  absl::string_view name;  // "index.html"
  absl::string_view content;
};

// By name. Lives as long as the process.
absl::Span<const WebFile> WebFiles();

// Empty for an extension that is not served.
absl::string_view ContentTypeOf(absl::string_view name);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_WEB_FILES_H_
