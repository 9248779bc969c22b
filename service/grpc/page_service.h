// Links into the status page, for those who may call.
#ifndef KARTOGRAPH_SERVICE_GRPC_PAGE_SERVICE_H_
#define KARTOGRAPH_SERVICE_GRPC_PAGE_SERVICE_H_

#include <functional>
#include <string>
#include <utility>

#include "api/kartograph/v1/page.grpc.pb.h"
#include "service/access/users.h"
#include "service/grpc/caller.h"

namespace kartograph::service {

// `new_link` makes one for a credential; thread-safe and does not block. `users` outlive every
// call. Thread-safe.
class PageService final : public v1::StatusPage::CallbackService {
 public:
  using NewLink = std::function<std::string(const std::string& credential)>;
  PageService(const Users* users, NewLink new_link)
      : users_(users), new_link_(std::move(new_link)) {}

  grpc::ServerUnaryReactor* GetPageLink(grpc::CallbackServerContext* context,
                                        const v1::GetPageLinkRequest*,
                                        v1::GetPageLinkResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    response->set_url(new_link_(CallerOf(*context, *users_).credential));
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const Users* const users_;
  const NewLink new_link_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_PAGE_SERVICE_H_
