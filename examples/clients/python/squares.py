"""Submits a graph of tasks to Kartograph and prints what each returns, as it finishes."""

import sys
import uuid

import grpc
from google.protobuf.duration_pb2 import Duration
from kartograph.v1 import task_executer_pb2 as pb
from kartograph.v1 import task_executer_pb2_grpc as pb_grpc

QUEUE = "squares"


def graph_of(tasks):
    start = pb.SubmitGraphRequest.Start(request_id=str(uuid.uuid4()),
                                        graph=pb.GraphSpec(name="squares", client_queue=QUEUE))
    yield pb.SubmitGraphRequest(graph=start)
    yield pb.SubmitGraphRequest(tasks=pb.SubmitGraphRequest.TaskBatch(tasks=tasks))


def problems_of(error):
    for key, value in error.trailing_metadata() or ():
        if key == "kartograph-problems-bin":
            return pb.Problems.FromString(value).problems
    return []


def main(address):
    channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", 17 << 20)])
    stub = pb_grpc.TaskExecuterStub(channel)
    left = {f"square_{n}": pb.Command(shell=f"echo $(({n} * {n})) > $KARTOGRAPH_RESULT")
            for n in (1, 2, 3)}
    tasks = [pb.TaskSpec(name=name, command=command) for name, command in left.items()]
    try:
        graph_id = stub.SubmitGraph(graph_of(tasks), timeout=60).graph_id
    except grpc.RpcError as error:
        for problem in problems_of(error):
            print(f"{problem.field}: {problem.message}", file=sys.stderr)
        sys.exit(error.details())
    received = []
    while left or received:
        request = pb.PopFinishedRequest(client_queue=QUEUE, acknowledge=received,
                                        wait=Duration(seconds=30 if left else 0))
        finished = stub.PopFinished(request, timeout=60).tasks
        received = [task.delivery_id for task in finished]
        for task in finished:
            # The queue may still hold what an earlier run did not take.
            if task.graph_id == graph_id and left.pop(task.task_name, None):
                print(task.task_name, task.return_value.decode().strip() or task.exception.message)


if __name__ == "__main__":
    main(*sys.argv[1:])
