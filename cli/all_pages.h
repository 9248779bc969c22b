// Lists that come in pages, as a whole.
#ifndef KARTOGRAPH_CLI_ALL_PAGES_H_
#define KARTOGRAPH_CLI_ALL_PAGES_H_

#include "absl/status/statusor.h"
#include "cli/client.h"

namespace kartograph::cli {

// Calls `list` until no page is left, and gives all of them as one answer; the first error where
// one comes.
template <typename Request, typename Response>
absl::StatusOr<Response> AllPages(Client& client,
                                  absl::StatusOr<Response> (Client::*list)(const Request&),
                                  Request request) {
  Response all;
  request.set_page_size(1000);
  do {
    const absl::StatusOr<Response> page = (client.*list)(request);
    if (!page.ok()) return page.status();
    all.MergeFrom(*page);
    request.set_page_token(all.next_page_token());
    all.clear_next_page_token();
  } while (!request.page_token().empty());
  return all;
}

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_ALL_PAGES_H_
