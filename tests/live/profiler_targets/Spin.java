public class Spin {
    static double hot() { double x = 0; for (int i = 0; i < 3_000_000; i++) x += Math.sqrt(i); return x; }
    static double cold() { double x = 0; for (int i = 0; i < 300_000; i++) x += Math.sqrt(i); return x; }
    public static void main(String[] a) throws Exception {
        double sink = 0;
        System.out.println("ready {}");
        while (true) { sink += hot(); sink += cold(); if (sink < 0) System.out.println(sink); }
    }
}
