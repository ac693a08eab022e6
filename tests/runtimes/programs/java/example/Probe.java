package example;

import com.amazonaws.services.lambda.runtime.Context;
import java.io.RandomAccessFile;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.Selector;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Makes use of what a sealed environment must allow, and ends as it is asked to. */
public class Probe {
    public Map<String, Object> handle(Map<String, String> event, Context context) throws Exception {
        switch (event.getOrDefault("do", "")) {
            case "fail":
                throw new IllegalStateException("as asked");
            case "exit":
                System.exit(3);
                return null;
            case "fill":
                byte[][] kept = new byte[64][];
                for (int i = 0; i < kept.length; i++) kept[i] = new byte[16 << 20];
                return Map.of("kept", kept.length);
            case "context":
                return Map.of(
                        "arn", context.getInvokedFunctionArn(),
                        "function", context.getFunctionName(),
                        "id", context.getAwsRequestId(),
                        "deadline", context.getRemainingTimeInMillis() > 0,
                        "memory", context.getMemoryLimitInMB(),
                        "heap", Runtime.getRuntime().maxMemory() >> 20,
                        "tmp", Files.list(Path.of("/tmp")).filter(each -> !each.toString().contains("jni")).count());
            default:
                return use(event.get("name"), context);
        }
    }

    private Map<String, Object> use(String name, Context context) throws Exception {
        Map<String, Object> seen = new LinkedHashMap<>();
        seen.put("threads", threads());
        Process child = new ProcessBuilder("/bin/echo", "child").start();
        seen.put("child", new String(child.getInputStream().readAllBytes()).trim());
        seen.put("mapped", mapped());
        Selector.open().close();
        seen.put("compiled", compiled());
        seen.put("address", InetAddress.getByName(name).getHostAddress());
        URI where = URI.create("https://" + name + "/?Action=GetCallerIdentity&Version=2011-06-15");
        HttpRequest request = HttpRequest.newBuilder(where).build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        seen.put("status", answer.statusCode());
        context.getLogger().log("logged by Java\nin two lines");
        System.out.println("printed by Java");
        return seen;
    }

    private int threads() throws Exception {
        AtomicInteger sum = new AtomicInteger();
        ExecutorService pool = Executors.newFixedThreadPool(64);
        for (int i = 0; i < 64; i++) pool.submit(sum::incrementAndGet);
        pool.shutdown();
        pool.awaitTermination(10, TimeUnit.SECONDS);
        return sum.get();
    }

    private String mapped() throws Exception {
        Path path = Files.createTempFile("mapped", "");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            MappedByteBuffer memory = file.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, 4096);
            memory.put("mapped".getBytes());
            memory.force();
            return Files.readString(path).substring(0, 6);
        } finally {
            Files.delete(path);
        }
    }

    /** Long enough for the compiler to take it. */
    private long compiled() {
        long sum = 0;
        for (int i = 0; i < 5_000_000; i++) sum += i & 1;
        return sum;
    }
}
