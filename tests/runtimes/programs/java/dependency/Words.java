package dependency;

public class Words {
    public static String greeting() {
        return "Hello";
    }
}
