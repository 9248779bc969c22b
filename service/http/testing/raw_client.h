// A client that sends bytes as they are.
#ifndef KARTOGRAPH_SERVICE_HTTP_TESTING_RAW_CLIENT_H_
#define KARTOGRAPH_SERVICE_HTTP_TESTING_RAW_CLIENT_H_

#include <map>
#include <string>

namespace kartograph::service {

// One connection to a port of this machine. Dies in tests where it cannot connect.
class RawClient {
 public:
  // A small `receive_buffer` makes a client that can be sent little without reading.
  explicit RawClient(int port, int receive_buffer = 0);
  ~RawClient();

  // False where the server has closed.
  bool Send(const std::string& bytes);
  // Says that nothing more will be sent.
  void EndSending();
  // Up to the end of the connection.
  std::string ReadAll();
  // Up to and including `end`; less where the connection ends.
  std::string ReadUntil(const std::string& end);
  // Exactly this many bytes; less where the connection ends.
  std::string ReadBytes(size_t count);

  struct Response {
    int status = 0;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
  };
  // Reads one response; of a HEAD's no body.
  Response ReadResponse(bool head = false);
  // GET on a connection that stays open.
  Response Get(const std::string& target);

 private:
  bool Fill();

  int fd_;
  std::string received_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_TESTING_RAW_CLIENT_H_
