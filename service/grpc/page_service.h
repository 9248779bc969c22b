// Links into the status page, for those who may call.
#ifndef KARTOGRAPH_SERVICE_GRPC_PAGE_SERVICE_H_
#define KARTOGRAPH_SERVICE_GRPC_PAGE_SERVICE_H_

#include <functional>
#include <string>
#include <utility>

#include "api/kartograph/v1/page.grpc.pb.h"

namespace kartograph::service {

// `new_link` makes one; thread-safe and does not block. Thread-safe.
class PageService final : public v1::StatusPage::CallbackService {
 public:
  explicit PageService(std::function<std::string()> new_link) : new_link_(std::move(new_link)) {}

  grpc::ServerUnaryReactor* GetPageLink(grpc::CallbackServerContext* context,
                                        const v1::GetPageLinkRequest*,
                                        v1::GetPageLinkResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    response->set_url(new_link_());
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const std::function<std::string()> new_link_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_PAGE_SERVICE_H_
