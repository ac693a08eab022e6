package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;

/** Needs a class that comes in a jar of its own. */
public class Greeting implements RequestHandler<String, String> {
    @Override
    public String handleRequest(String name, Context context) {
        return dependency.Words.greeting() + " " + name + "!";
    }
}
