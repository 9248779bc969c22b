// A client of Kartograph in Java, made from the .proto file alone. See ../README.md.
import com.google.protobuf.Duration;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import kartograph.v1.*;
import kartograph.v1.TaskExecuterGrpc.TaskExecuterBlockingStub;

public final class Client {
    /** For one thread at a time. Methods throw StatusRuntimeException where calls fail for good. */
    static final class TaskExecuter {
        private final TaskExecuterBlockingStub stub;
        private final String queue = "client-" + UUID.randomUUID();
        private List<Long> received = List.of();

        TaskExecuter(TaskExecuterBlockingStub stub) {
            this.stub = stub;
        }

        /** Returns an id when the task is stored. It runs when so many cores and bytes are free. */
        String execute(String name, String shell) {
            TaskSpec task = TaskSpec.newBuilder()
                    .setName(name)
                    .setCommand(Command.newBuilder().setShell(shell))
                    .putAllConsumption(Map.of("cpu", 0.1, "ram", 32.0 * (1 << 20)))
                    .build();
            ExecuteRequest request = ExecuteRequest.newBuilder()
                    .setRequestId(UUID.randomUUID().toString()) // so that repetitions run one task
                    .setClientQueue(queue)
                    .setTask(task)
                    .build();
            return stub.execute(request).getGraphId(); // a graph of this task alone
        }

        /** Does not wait: the task is delivered, as any other, when its processes have ended. */
        void cancel(String id) {
            stub.cancel(CancelRequest.newBuilder()
                    .setRequestId(UUID.randomUUID().toString())
                    .setGraphId(id)
                    .build());
        }

        /** Waits for finished tasks and acknowledges the previous ones, which else come again. */
        List<FinishedTask> popFinished(int seconds) {
            List<FinishedTask> finished = stub.popFinished(PopFinishedRequest.newBuilder()
                    .setClientQueue(queue)
                    .addAllAcknowledge(received)
                    .setWait(Duration.newBuilder().setSeconds(seconds))
                    .build()).getTasksList();
            received = finished.stream().map(FinishedTask::getDeliveryId).toList();
            return finished;
        }
    }

    // For all calls: while the service is restarted they wait and are repeated, up to a deadline. gRPC 1.41
    // says UNKNOWN of a connection that is lost just as a call begins.
    private static final Map<String, Object> SERVICE_CONFIG = Map.of("methodConfig", List.of(Map.of(
            "name", List.of(Map.of()), "timeout", "60s", "waitForReady", true,
            "retryPolicy", Map.of(
                    "maxAttempts", 5.0, "initialBackoff", "1s", "maxBackoff", "10s",
                    "backoffMultiplier", 2.0, "retryableStatusCodes", List.of("UNAVAILABLE", "UNKNOWN")))));

    public static void main(String[] arguments) throws Exception {
        String server = System.getenv("KARTOGRAPH_SERVER"); // HOST:PORT
        ChannelCredentials plain = InsecureChannelCredentials.create(); // or TlsChannelCredentials
        ManagedChannel channel = Grpc.newChannelBuilder(server, plain)
                .defaultServiceConfig(SERVICE_CONFIG)
                .enableRetry()
                .build();
        TaskExecuterBlockingStub stub = TaskExecuterGrpc.newBlockingStub(channel);
        String tokenFile = System.getenv("KARTOGRAPH_TOKEN_FILE");
        if (tokenFile != null) {
            Metadata metadata = new Metadata();
            metadata.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
                    "Bearer " + Files.readString(Path.of(tokenFile)).strip());
            stub = stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
        }
        TaskExecuter executer = new TaskExecuter(stub);
        String sleeper = executer.execute("sleeper", "sleep 600");
        Set<String> left = new HashSet<>(List.of(sleeper, executer.execute("broken", "exit 3"),
                executer.execute("product", "printf $((6 * 7)) > $KARTOGRAPH_RESULT")));
        executer.cancel(sleeper);
        while (!left.isEmpty()) {
            for (FinishedTask task : executer.popFinished(30)) {
                if (!left.remove(task.getGraphId())) continue; // delivered a second time
                System.out.println(task.getTaskName() + ": " + (task.hasException()
                        ? task.getException().getMessage() : task.getReturnValue().toStringUtf8()));
            }
        }
        executer.popFinished(0); // acknowledges the last ones
        channel.shutdown();
    }
}
