package example;

/** A handler of plain objects, with no class of AWS's. */
public class Points {
    public static class Pair {
        private int x;
        private int y;

        public int getX() { return x; }
        public void setX(int x) { this.x = x; }
        public int getY() { return y; }
        public void setY(int y) { this.y = y; }
    }

    public static class Sum {
        private final int sum;

        public Sum(int sum) { this.sum = sum; }
        public int getSum() { return sum; }
    }

    public Sum sum(Pair pair) {
        return new Sum(pair.getX() + pair.getY());
    }
}
