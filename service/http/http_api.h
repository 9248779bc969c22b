// What kartographd serves over HTTP: the page's files, the contract's messages as JSON, events,
// metrics, health.
#ifndef KARTOGRAPH_SERVICE_HTTP_HTTP_API_H_
#define KARTOGRAPH_SERVICE_HTTP_HTTP_API_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "service/http/event_feed.h"
#include "service/http/http_server.h"
#include "service/http/web_files.h"
#include "service/service_parts.h"

namespace kartograph::service {

// Routes a request to its handler and turns the answer into text. Thread-safe.
class HttpApi {
 public:
  // kartograph-executor, for the agents of Mesos.
  struct Served {
    std::shared_ptr<const std::string> executor;  // null: none
    std::string executor_path;
  };
  struct Options {
    std::string version;
    absl::Time start_time;
    absl::Span<const WebFile> files;
    Served served = {};
  };
  // `probes` answers health and metrics, so that these do not wait behind anything else. All
  // outlive this, and are stopped before this ends.
  HttpApi(Options options, const ServiceParts& parts, EventFeed* events, WorkerPool* probes);

  // An HttpHandler.
  void Handle(HttpRequest request, HttpReply reply);

  // Asks the scheduler whether it has its cluster, which /healthz then says. To be called from time
  // to time; does not block.
  void LookAtCluster();

  // OK while the scheduler can go on and has not been busy with one thing for more than a second.
  // Does not block.
  static absl::Status Health(scheduler::Scheduler& scheduler);

 private:
  void HandleApi(HttpRequest request, HttpReply reply);
  void HandleGraphs(const HttpRequest& request, HttpReply reply);
  void Graphs(const HttpRequest& request, HttpReply reply);
  void Tasks(const std::string& graph, const HttpRequest& request, HttpReply reply);
  void Task(const std::string& graph, const HttpRequest& request, HttpReply reply);
  void Explain(const std::string& graph, const HttpRequest& request, HttpReply reply);
  void Log(const std::string& graph, const HttpRequest& request, HttpReply reply);
  void Result(const std::string& graph, const HttpRequest& request, HttpReply reply);
  void Failures(const HttpRequest& request, HttpReply reply);
  void ServeFile(const HttpRequest& request, const HttpReply& reply);
  HttpResponse Metrics();
  HttpResponse Healthz();

  // Answers with the JSON of what `query` gives, on a thread of `pool`, or of the common one.
  template <typename Query>
  void OnWorker(HttpReply reply, Query query, WorkerPool* pool = nullptr);
  static void Post(WorkerPool* pool, HttpReply reply, std::function<HttpResponse()> answer);

  const Options options_;
  const ServiceParts parts_;
  EventFeed* const events_;
  WorkerPool* const probes_;
  struct Cluster;
  const std::shared_ptr<Cluster> cluster_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_HTTP_API_H_
