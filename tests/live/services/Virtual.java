import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.ReentrantLock;

/** Virtual threads that each wait for one thing, beside one that is on a CPU for nobody. */
public class Virtual {
    static final Object TILL = new Object();
    static final ReentrantLock SHELF = new ReentrantLock();
    static final Semaphore SCALES = new Semaphore(0);
    static volatile long sink;

    interface Errand { void run() throws Exception; }

    static void rest() throws Exception { Thread.sleep(1_000_000); }

    static void open() throws Exception { synchronized (TILL) { rest(); } }

    static void pay() { synchronized (TILL) { sink++; } }

    static void fill() throws Exception { SHELF.lock(); rest(); }

    static void take() { SHELF.lock(); }

    static void weigh() throws Exception { SCALES.acquire(); }

    static void go(String name, Errand errand) {
        Thread.ofVirtual().name(name).start(() -> {
            try { errand.run(); } catch (Exception e) { throw new IllegalStateException(e); }
        });
    }

    public static void main(String[] words) throws Exception {
        go("opens", Virtual::open);
        go("fills", Virtual::fill);
        Thread.sleep(200);
        go("pays", Virtual::pay);
        go("takes", Virtual::take);
        go("weighs", Virtual::weigh);
        Thread.sleep(200);
        System.out.println("ready");
        rest();
    }
}
