import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/**
 * Queries instances and registers an application with the client of the JDK. That client offers an
 * upgrade to HTTP/2 with its first request, and sends the second request over the same connection.
 */
public final class Main {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newHttpClient();
        var storage = System.getenv("STORAGE_URL") + "/storage";
        var app = "nav/" + System.getenv("APP");
        var authorization = "Bearer " + System.getenv("OWNER_TOKEN");

        var query = HttpRequest.newBuilder(URI.create(storage + "/instances?appId=" + app)).header("Authorization", authorization);
        var page = client.send(query.build(), BodyHandlers.ofString());
        System.out.println("query: " + page.statusCode());

        var registration = HttpRequest.newBuilder(URI.create(storage + "/applications/" + app)).header("Authorization", authorization)
                .header("Content-Type", "application/json").PUT(BodyPublishers.ofString("{}"));
        var registered = client.send(registration.build(), BodyHandlers.ofString());
        System.out.println("register: " + registered.statusCode());
    }
}
