#include "tests/mesos/fetch.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/url.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace kartograph::stand_in {
namespace {

namespace beast = boost::beast;
namespace fs = std::filesystem;
namespace http = beast::http;
namespace net = boost::asio;
using boost::system::error_code;
using tcp = net::ip::tcp;

class Fetcher : public std::enable_shared_from_this<Fetcher> {
 public:
  Fetcher(net::io_context& io, const mesos::CommandInfo& command, std::string directory,
          std::function<void(const absl::Status&)> done)
      : io_(io), command_(command), directory_(std::move(directory)), done_(std::move(done)) {}

  void Next() {
    if (next_ == command_.uris_size()) return done_(absl::OkStatus());
    const std::string& value = command_.uris(next_).value();
    if (absl::StartsWith(value, "http://")) return Get(value);
    const std::string path(absl::StripPrefix(value, "file://"));
    error_code error;
    std::error_code copied;
    fs::copy_file(path, Target(value), fs::copy_options::overwrite_existing, copied);
    if (copied) return Fail(copied.message());
    Finish();
  }

 private:
  fs::path Target(const std::string& value) const {
    const mesos::CommandInfo::URI& uri = command_.uris(next_);
    if (!uri.output_file().empty()) return fs::path(directory_) / uri.output_file();
    const std::string path = value.substr(0, value.find_first_of("?#"));
    return fs::path(directory_) / fs::path(path).filename();
  }

  void Get(const std::string& value) {
    const auto parsed = boost::urls::parse_uri(value);
    if (!parsed) return Fail("this is not a URL");
    const std::string host(parsed->encoded_host().begin(), parsed->encoded_host().end());
    const std::string target(parsed->encoded_target().begin(), parsed->encoded_target().end());
    error_code error;
    const auto address = net::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
    if (error) return Fail("its host is not an address");
    const uint16_t port = parsed->port_number() == 0 ? 80 : parsed->port_number();
    request_ = {http::verb::get, target.empty() ? "/" : target, 11};
    request_.set(http::field::host, absl::StrCat(host, ":", port));
    stream_.emplace(io_);
    buffer_.clear();
    parser_.emplace();
    parser_->body_limit(boost::none);
    stream_->async_connect(
        tcp::endpoint(address, port), [self = shared_from_this()](error_code error) {
          if (error) return self->Fail(error.message());
          http::async_write(*self->stream_, self->request_, [self](error_code error, size_t) {
            if (error) return self->Fail(error.message());
            http::async_read(*self->stream_, self->buffer_, *self->parser_,
                             [self](error_code error, size_t) { self->OnAnswer(error); });
          });
        });
  }

  void OnAnswer(error_code error) {
    if (error) return Fail(error.message());
    const auto& answer = parser_->get();
    if (answer.result() != http::status::ok) {
      return Fail(absl::StrCat("the answer is ", answer.result_int()));
    }
    std::ofstream file(Target(command_.uris(next_).value()), std::ios::binary);
    file << answer.body();
    file.close();
    if (!file) return Fail("it cannot be written");
    Finish();
  }

  void Finish() {
    if (command_.uris(next_).executable()) {
      std::error_code error;
      fs::permissions(Target(command_.uris(next_).value()),
                      fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec,
                      fs::perm_options::add, error);
      if (error) return Fail(error.message());
    }
    ++next_;
    Next();
  }

  void Fail(absl::string_view why) {
    done_(absl::UnavailableError(
        absl::StrCat("Failed to fetch all URIs: ", command_.uris(next_).value(), ": ", why)));
  }

  net::io_context& io_;
  const mesos::CommandInfo command_;
  const std::string directory_;
  const std::function<void(const absl::Status&)> done_;
  int next_ = 0;
  std::optional<beast::tcp_stream> stream_;
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  std::optional<http::response_parser<http::string_body>> parser_;
};

}  // namespace

void FetchAll(Loop& loop, const mesos::CommandInfo& command, const std::string& directory,
              std::function<void(const absl::Status&)> done) {
  std::make_shared<Fetcher>(loop.io(), command, directory, std::move(done))->Next();
}

}  // namespace kartograph::stand_in
