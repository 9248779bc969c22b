// A client of Kartograph in Go, made from the .proto file alone. See ../README.md.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.com/client/kartograph/v1"
)

// For all calls: while the service is restarted they wait and are repeated, up to a deadline.
const serviceConfig = `{"methodConfig": [{"name": [{}], "timeout": "60s", "waitForReady": true,
	"retryPolicy": {"maxAttempts": 5, "initialBackoff": "1s", "maxBackoff": "10s",
		"backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// TaskExecuter is for one goroutine at a time. Its errors are gRPC's.
type TaskExecuter struct {
	stub     pb.TaskExecuterClient
	queue    string
	received []int64
}

// Execute returns an id when the task is stored. It runs when so many cores and bytes are free.
func (e *TaskExecuter) Execute(ctx context.Context, name, shell string) (string, error) {
	// However often a call with this id is repeated, one task runs, in a graph of its own.
	answer, err := e.stub.Execute(ctx, &pb.ExecuteRequest{
		RequestId: randomID(), ClientQueue: e.queue, Task: &pb.TaskSpec{
			Name: name, Command: &pb.Command{Shell: shell},
			Consumption: map[string]float64{"cpu": 0.1, "ram": 32 << 20}}})
	return answer.GetGraphId(), err
}

// Cancel does not wait: the task is delivered, as any other, when its processes have ended. It
// returns 0 where they had.
func (e *TaskExecuter) Cancel(ctx context.Context, id string) (int32, error) {
	answer, err := e.stub.Cancel(ctx, &pb.CancelRequest{RequestId: randomID(), GraphId: id})
	return answer.GetTasks(), err
}

// PopFinished waits for finished tasks and acknowledges the previous ones, which else come again.
func (e *TaskExecuter) PopFinished(ctx context.Context, seconds int64) ([]*pb.FinishedTask, error) {
	answer, err := e.stub.PopFinished(ctx, &pb.PopFinishedRequest{ClientQueue: e.queue,
		Acknowledge: e.received, Wait: &durationpb.Duration{Seconds: seconds}})
	if err != nil {
		return nil, err
	}
	e.received = nil
	for _, task := range answer.Tasks {
		e.received = append(e.received, task.DeliveryId)
	}
	return answer.Tasks, nil
}

func randomID() string {
	id := make([]byte, 16)
	must(rand.Read(id))
	return fmt.Sprintf("%x", id)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	ctx := context.Background()
	if file := os.Getenv("KARTOGRAPH_TOKEN_FILE"); file != "" {
		token := strings.TrimSpace(string(must(os.ReadFile(file))))
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	channel := must(grpc.NewClient(os.Getenv("KARTOGRAPH_SERVER"), // HOST:PORT or unix:PATH
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithTransportCredentials(insecure.NewCredentials()))) // with TLS: credentials.NewTLS
	executer := TaskExecuter{stub: pb.NewTaskExecuterClient(channel), queue: "client-" + randomID()}
	sleeper := must(executer.Execute(ctx, "sleeper", "sleep 600"))
	left := map[string]bool{sleeper: true, must(executer.Execute(ctx, "broken", "exit 3")): true,
		must(executer.Execute(ctx, "product", "printf $((6 * 7)) > $KARTOGRAPH_RESULT")): true}
	must(executer.Cancel(ctx, sleeper))
	for len(left) > 0 {
		for _, task := range must(executer.PopFinished(ctx, 30)) {
			if left[task.GraphId] { // unless it is delivered a second time
				delete(left, task.GraphId)
				fmt.Printf("%s: %s%s\n", task.TaskName, task.GetReturnValue(), task.GetException().GetMessage())
			}
		}
	}
	must(executer.PopFinished(ctx, 0)) // acknowledges the last ones
}
