// queue list, pop, purge: what waits for clients.
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/all_pages.h"
#include "cli/commands.h"
#include "cli/file_problems.h"
#include "cli/proto_time.h"
#include "cli/report.h"
#include "cli/text.h"

namespace kartograph::cli {
namespace {

std::string Outcome(const v1::FinishedTask& task) {
  if (!task.has_exception()) return std::string(Word(v1::TASK_STATE_SUCCEEDED));
  const v1::TaskException& exception = task.exception();
  return absl::StrCat(Word(exception.state()), exception.message().empty() ? "" : ": ",
                      exception.message());
}

void PrintFinished(const v1::PopFinishedResponse& popped, std::ostream* out) {
  Table table({"GRAPH", "TASK", "ENDED", "OUTCOME"});
  for (const v1::FinishedTask& task : popped.tasks()) {
    table.Row({task.graph_id(), task.task_name(), UtcTime(task.end_time()), Outcome(task)});
  }
  *out << table.ToString();
}

}  // namespace

int ListQueues(const Context& context) {
  const absl::StatusOr<v1::ListQueuesResponse> all =
      AllPages(*context.client, &Client::ListQueues, v1::ListQueuesRequest());
  if (!all.ok()) return ReportError(context, all.status());
  if (context.json) {
    PrintJson(context, *all);
    return kDone;
  }
  if (all->queues().empty()) {
    *context.out << "No finished tasks wait in any client queue.\n";
    return kDone;
  }
  Table table({"QUEUE", "WAITING", "OLDEST"});
  for (const v1::ClientQueue& queue : all->queues()) {
    table.Row({queue.name(), absl::StrCat(queue.size()), UtcTime(queue.oldest_time())});
  }
  *context.out << table.ToString();
  return kDone;
}

int PopQueue(const Context& context, const PopArguments& arguments) {
  v1::PopFinishedRequest request;
  request.set_client_queue(arguments.queue);
  request.set_max_tasks(arguments.limit);
  *request.mutable_wait() = ToProto(absl::Seconds(arguments.wait_seconds));
  // What is only looked at goes on being offered to everybody.
  if (arguments.keep) *request.mutable_lease() = ToProto(absl::ZeroDuration());
  const auto popped = context.client->PopFinished(request);
  if (!popped.ok()) return ReportError(context, popped.status());
  if (context.json) {
    PrintJson(context, *popped);
  } else if (popped->tasks().empty()) {
    *context.out << "no finished task waits in queue " << arguments.queue << "\n";
  } else {
    PrintFinished(*popped, context.out);
  }
  context.out->flush();
  // What was not shown is not lost: it is delivered again.
  if (arguments.keep || popped->tasks().empty() || !context.out->good()) return kDone;
  v1::PopFinishedRequest acknowledge;
  acknowledge.set_client_queue(arguments.queue);
  acknowledge.set_max_tasks(-1);
  for (const v1::FinishedTask& task : popped->tasks()) {
    acknowledge.add_acknowledge(task.delivery_id());
  }
  const auto acknowledged = context.client->PopFinished(acknowledge);
  return acknowledged.ok() ? int{kDone} : ReportError(context, acknowledged.status());
}

int PurgeQueue(const Context& context, const std::string& queue) {
  v1::DeleteQueueRequest request;
  request.set_client_queue(queue);
  const auto response = context.client->DeleteQueue(request);
  if (!response.ok()) return ReportError(context, response.status());
  if (context.json) {
    PrintJson(context, *response);
  } else if (response->tasks() == 0) {
    *context.out << "no finished task waits in queue " << queue << "\n";
  } else {
    *context.out << Count(response->tasks(), "finished task") << " of queue " << queue
                 << (response->tasks() == 1 ? " is" : " are") << " gone\n";
  }
  return kDone;
}

}  // namespace kartograph::cli
