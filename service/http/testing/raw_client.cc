#include "service/http/testing/raw_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kartograph::service {

RawClient::RawClient(int port, int receive_buffer) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
  if (receive_buffer > 0) {
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

RawClient::~RawClient() { close(fd_); }

bool RawClient::Send(const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

void RawClient::EndSending() { shutdown(fd_, SHUT_WR); }

bool RawClient::Fill() {
  char buffer[4096];
  const ssize_t count = recv(fd_, buffer, sizeof buffer, 0);
  if (count <= 0) return false;
  received_.append(buffer, static_cast<size_t>(count));
  return true;
}

std::string RawClient::ReadAll() {
  while (Fill()) {
  }
  return std::exchange(received_, {});
}

std::string RawClient::ReadUntil(const std::string& end) {
  size_t found = received_.find(end);
  while (found == std::string::npos && Fill()) found = received_.find(end);
  return ReadBytes(found == std::string::npos ? received_.size() : found + end.size());
}

std::string RawClient::ReadBytes(size_t count) {
  while (received_.size() < count && Fill()) {
  }
  std::string bytes = received_.substr(0, count);
  received_.erase(0, count);
  return bytes;
}

RawClient::Response RawClient::ReadResponse(bool head) {
  Response response;
  const std::vector<std::string> lines = absl::StrSplit(ReadUntil("\r\n\r\n"), "\r\n");
  const std::vector<std::string> first = absl::StrSplit(lines[0], ' ');
  if (first.size() < 2 || !absl::SimpleAtoi(first[1], &response.status)) return response;
  for (size_t i = 1; i < lines.size(); ++i) {
    const size_t colon = lines[i].find(": ");
    if (colon == std::string::npos) continue;
    response.headers[absl::AsciiStrToLower(lines[i].substr(0, colon))] = lines[i].substr(colon + 2);
  }
  int64_t length = 0;
  const auto announced = response.headers.find("content-length");
  if (!head && announced != response.headers.end() &&
      absl::SimpleAtoi(announced->second, &length)) {
    response.body = ReadBytes(static_cast<size_t>(length));
  }
  return response;
}

RawClient::Response RawClient::Get(const std::string& target) {
  Send(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  return ReadResponse();
}

}  // namespace kartograph::service
