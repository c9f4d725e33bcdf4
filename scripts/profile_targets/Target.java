// Work of known shares on one thread, and waits of four kinds on others: `Target WAITERS`.
// Each line on standard input is answered with what the worker did since the last one.
import java.io.*;
import java.net.*;
import java.util.*;
import java.util.concurrent.Semaphore;

public class Target {
    static final int HELD = 20, SLEPT = 50; // ms
    static final Object LOCK = new Object(), TURN = new Object();
    static final Semaphore POOL = new Semaphore(2);
    static List<Double> units = new ArrayList<>();
    static double[] spent = new double[3];
    static long began = System.nanoTime();
    static double sink;
    static int silent;

    static double spin(int rounds) {
        double x = 0;
        for (int i = 0; i < rounds; i++) x += Math.sqrt(i);
        return x;
    }
    static void sixty() { sink += spin(600_000); }
    static void thirty() { sink += spin(300_000); }
    static void ten() { sink += spin(100_000); }

    static void work() {
        while (true) {
            long a = System.nanoTime();
            sixty();
            long b = System.nanoTime();
            thirty();
            long c = System.nanoTime();
            ten();
            long d = System.nanoTime();
            synchronized (TURN) {
                spent[0] += b - a; spent[1] += c - b; spent[2] += d - c;
                units.add((d - a) / 1e6);
            }
        }
    }

    static String told() {
        synchronized (TURN) {
            Collections.sort(units);
            double whole = spent[0] + spent[1] + spent[2];
            double p99 = units.isEmpty() ? 0 : units.get(units.size() * 99 / 100);
            String answer = String.format(Locale.ROOT,
                "{\"units\": %d, \"seconds\": %f, \"p99_ms\": %f, \"shares\": [%f, %f, %f]}",
                units.size(), (System.nanoTime() - began) / 1e9, p99,
                spent[0] / whole, spent[1] / whole, spent[2] / whole);
            units = new ArrayList<>(); spent = new double[3]; began = System.nanoTime();
            return answer;
        }
    }

    static void nap(int ms) {
        try { Thread.sleep(ms); } catch (InterruptedException e) { throw new RuntimeException(e); }
    }
    static void hold_lock() { nap(HELD); }
    static void lock_user() { while (true) synchronized (LOCK) { hold_lock(); } }
    static void hold_pool() { nap(HELD); }
    static void pool_user() {
        while (true) { POOL.acquireUninterruptibly(); hold_pool(); POOL.release(); }
    }
    static void sleeper() { while (true) nap(SLEPT); }
    static void reader() {
        try (Socket link = new Socket("127.0.0.1", silent)) {
            link.getInputStream().read();
        } catch (IOException e) { throw new UncheckedIOException(e); }
    }

    public static void main(String[] words) throws Exception {
        InetAddress here = InetAddress.getByName("127.0.0.1");
        ServerSocket served = new ServerSocket(0, 50, here), quiet = new ServerSocket(0, 500, here);
        silent = quiet.getLocalPort();
        Runnable[] kinds = {Target::sleeper, Target::lock_user, Target::reader, Target::pool_user};
        for (int n = 0; n < Integer.parseInt(words[0]); n++) {
            Thread one = new Thread(kinds[n % 4], "waiter-" + n);
            one.setDaemon(true);
            one.start();
        }
        Thread worker = new Thread(Target::work, "worker");
        worker.setDaemon(true);
        worker.start();
        System.out.println("ready {\"port\": " + served.getLocalPort() + "}");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) System.out.println(told());
    }
}
