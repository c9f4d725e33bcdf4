import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/** A small shop with one bottleneck, chosen by the first argument, beside decoys that are none. */
public class Kiosk {
    static final Object TILL = new Object();
    static final Object TALLY = new Object();
    static final ReentrantLock SHELF = new ReentrantLock();
    static final Semaphore SCALES = new Semaphore(3);
    static final BlockingQueue<Integer> LINKS = new ArrayBlockingQueue<>(3);
    static final ExecutorService BAKERS = Executors.newFixedThreadPool(4);
    static final List<byte[]> KEPT = new ArrayList<>();
    static final HttpClient CLIENT = HttpClient.newHttpClient();
    static URI supplier;
    static int served;
    static volatile double sink;

    static double compute(int rounds) {
        double x = 0;
        for (int i = 1; i < rounds; i++) x += Math.sqrt(i) / i;
        return x;
    }

    static void renderPage() { sink = compute(150_000); }

    static void countServed() { synchronized (TALLY) { served++; } }

    static void bookSale() throws Exception { synchronized (TILL) { printReceipt(); } }

    static void printReceipt() throws Exception { Thread.sleep(8); }

    static void fillShelf() throws Exception {
        SHELF.lock();
        try { Thread.sleep(8); } finally { SHELF.unlock(); }
    }

    static void weigh() throws Exception {
        SCALES.acquireUninterruptibly();
        try { readScale(); } finally { SCALES.release(); }
    }

    static void readScale() throws Exception { Thread.sleep(24); }

    static void askLedger() throws Exception {
        Integer link = borrow();
        try { runQuery(); } finally { LINKS.add(link); }
    }

    static Integer borrow() throws Exception {
        return LINKS.take();
    }

    static void runQuery() throws Exception { Thread.sleep(24); }

    static void orderBread() throws Exception {
        BAKERS.submit((Callable<Integer>) Kiosk::bake).get();
    }

    static int bake() throws Exception { Thread.sleep(32); return 1; }

    static void priceBasket() {
        double x = 0;
        for (int i = 1; i < 6_000_000; i++) x += Math.sqrt(i) / i;
        sink = x;
    }

    static void askSupplier() throws Exception {
        HttpURLConnection call = (HttpURLConnection) supplier.toURL().openConnection();
        call.getInputStream().readAllBytes();
    }

    static void callSupplier() throws Exception {
        CLIENT.send(HttpRequest.newBuilder(supplier).build(), HttpResponse.BodyHandlers.ofString());
    }

    /** Much garbage beside a large set that lives, which each collection goes through. */
    static void buildCatalogue() {
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < 12_000; i++) lines.add("article " + i);
        synchronized (KEPT) {
            KEPT.add(new byte[1 << 10]);
            if (KEPT.size() > 2_000) KEPT.clear();
        }
        sink = lines.size();
    }

    static void keepMuch() {
        for (int i = 0; i < 500_000; i++) ARTICLES.add("kept " + i);
    }

    static final List<String> ARTICLES = new ArrayList<>();

    static void serve(String mode) throws Exception {
        renderPage();
        countServed();
        switch (mode) {
            case "lock" -> bookSale();
            case "relock" -> fillShelf();
            case "semaphore" -> weigh();
            case "pool" -> askLedger();
            case "executor" -> orderBread();
            case "hot" -> priceBasket();
            case "downstream" -> askSupplier();
            case "client" -> callSupplier();
            case "garbage" -> buildCatalogue();
            default -> { }
        }
    }

    static void answer(HttpExchange exchange, String mode) throws IOException {
        byte[] body = "ok".getBytes();
        try {
            serve(mode);
        } catch (Exception e) {
            throw new IOException(e);
        }
        exchange.sendResponseHeaders(200, body.length);
        ByteArrayOutputStream copy = new ByteArrayOutputStream();
        copy.write(body);
        exchange.getResponseBody().write(copy.toByteArray());
        exchange.close();
    }

    /** A thread that is often busy, for nobody. */
    static void rotateKeys() {
        while (true) {
            sink = compute(1_000_000);
            LockSupport.parkNanos(40_000_000);
        }
    }

    public static void main(String[] words) throws Exception {
        // Head and body of an answer are two segments, the second of which would wait for an ACK.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        String mode = words[0];
        supplier = URI.create("http://127.0.0.1:" + System.getenv("NEIGHBOUR") + "/");
        for (int i = 0; i < 3; i++) LINKS.add(i);
        if (mode.equals("garbage")) keepMuch();
        Thread keys = new Thread(Kiosk::rotateKeys, "keys");
        keys.setDaemon(true);
        keys.start();
        AtomicInteger number = new AtomicInteger();
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(words[1])), 100);
        server.setExecutor(Executors.newFixedThreadPool(40, task -> new Thread(task, "till-" + number.incrementAndGet())));
        server.createContext("/", exchange -> answer(exchange, mode));
        server.start();
        System.out.println("ready {\"port\": " + server.getAddress().getPort() + "}");
    }
}
