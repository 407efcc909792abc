// Does the main job of the API with the HTTP client of the JDK.
// sample: setup
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.*;
import java.util.*;
// end
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Main {
  // sample: setup
  static final HttpClient http = HttpClient.newHttpClient();
  static final String apps = System.getenv("APPS_URL"), storage = System.getenv("STORAGE_URL"), app = System.getenv("APP");
  static final String user = "Bearer " + System.getenv("USER_TOKEN"), owner = "Bearer " + System.getenv("OWNER_TOKEN");
  // end

  static String putApplication() throws Exception {
    // sample: putApplication
    HttpRequest request = HttpRequest.newBuilder(URI.create(storage + "/storage/applications/nav/" + app))
        .header("Authorization", owner)
        .header("Content-Type", "application/json")
        .PUT(BodyPublishers.ofString("""
            {"title": {"nb": "Arbeidsmelding"},
             "dataTypes": [
               {"formId": "form", "allowedContentTypes": ["application/json"], "minCount": 1, "maxCount": 1},
               {"formId": "attachment", "allowedContentTypes": ["application/pdf"]}]}"""))
        .build();
    HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
    if (response.statusCode() >= 300) throw new IllegalStateException(response.body());
    // end
    return response.body();
  }

  static String createInstance() throws Exception {
    // sample: createInstance
    String form = Base64.getEncoder().encodeToString("{\"timer\": 37}".getBytes());
    HttpRequest request = HttpRequest.newBuilder(URI.create(apps + "/nav/" + app + "/instances"))
        .header("Authorization", user)
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", UUID.randomUUID().toString())
        .POST(BodyPublishers.ofString("""
            {"reportee": {"ssn": "%s"},
             "labels": ["gr"],
             "data": [{"formId": "form", "contentType": "application/json", "content": "%s"}]}"""
            .formatted(System.getenv("SSN"), form)))
        .build();
    HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
    if (response.statusCode() >= 300) throw new IllegalStateException(response.body());
    // end
    return response.body();
  }

  static String createData(String instanceUrl) throws Exception {
    // sample: createData
    // instanceUrl is selfLinks.apps of the instance.
    HttpRequest request = HttpRequest.newBuilder(URI.create(instanceUrl + "/data?formId=attachment"))
        .header("Authorization", user)
        .header("Content-Type", "application/pdf")
        .header("Content-Disposition", "attachment; filename=\"kvittering.pdf\"")
        .POST(BodyPublishers.ofFile(Path.of("kvittering.pdf")))
        .build();
    HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
    if (response.statusCode() >= 300) throw new IllegalStateException(response.body());
    // end
    return response.body();
  }

  static String changeWorkflow(String instanceUrl) throws Exception {
    // sample: changeWorkflow
    // instanceUrl is selfLinks.apps of the instance.
    HttpRequest request = HttpRequest.newBuilder(URI.create(instanceUrl + "/workflow"))
        .header("Authorization", user)
        .header("Content-Type", "application/json")
        .PUT(BodyPublishers.ofString("{\"currentStep\": \"Submit\"}"))
        .build();
    HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
    if (response.statusCode() >= 300) throw new IllegalStateException(response.body());
    // end
    return response.body();
  }

  static String queryInstances() throws Exception {
    // sample: queryInstances
    String query = "?appId=nav/" + app + "&workflow.currentStep=Submit&label=gr";
    HttpRequest request = HttpRequest.newBuilder(URI.create(storage + "/storage/instances" + query))
        .header("Authorization", owner)
        .build();
    HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
    if (response.statusCode() >= 300) throw new IllegalStateException(response.body());
    // end
    return response.body();
  }

  static Path downloadData(String dataUrl) throws Exception {
    // sample: downloadData
    // dataUrl is dataLinks.platform of the data element.
    HttpRequest request = HttpRequest.newBuilder(URI.create(dataUrl)).header("Authorization", owner).build();
    HttpResponse<Path> response = http.send(request, BodyHandlers.ofFile(Path.of("saved.pdf")));
    if (response.statusCode() == 307) { // large content: follow the redirect without the token
      URI location = URI.create(response.headers().firstValue("Location").orElseThrow());
      response = http.send(HttpRequest.newBuilder(location).build(), BodyHandlers.ofFile(Path.of("saved.pdf")));
    }
    if (response.statusCode() >= 300) throw new IllegalStateException(Files.readString(response.body()));
    // end
    return response.body();
  }

  static String confirmDownload(String dataUrl) throws Exception {
    // sample: confirmDownload
    // dataUrl is dataLinks.platform of the data element.
    HttpRequest request = HttpRequest.newBuilder(URI.create(dataUrl + "/confirmDownload"))
        .header("Authorization", owner)
        .POST(BodyPublishers.noBody())
        .build();
    HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
    if (response.statusCode() >= 300) throw new IllegalStateException(response.body());
    // end
    return response.body();
  }

  static String getEvents() throws Exception {
    // sample: getEvents
    // The request waits up to 20 seconds for an event. The header Link has the URL of the next request.
    String feed = storage + "/storage/applications/nav/" + app + "/events?workflow.currentStep=Submit";
    HttpRequest request = HttpRequest.newBuilder(URI.create(feed))
        .header("Authorization", owner)
        .header("Prefer", "wait=20")
        .build();
    HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
    if (response.statusCode() >= 300) throw new IllegalStateException(response.body());
    String next = response.headers().firstValue("Link").orElseThrow();
    // end
    return response.body();
  }

  // valueOf returns the value of a member that is a string, at its n-th place.
  static String valueOf(String json, String member, int n) {
    Matcher matcher = Pattern.compile("\"" + member + "\":\"([^\"]*)\"").matcher(json);
    for (int i = 0; i <= n; i++) matcher.find();
    return matcher.group(1);
  }

  // attachmentUrl returns dataLinks.platform of the second data element.
  static String attachmentUrl(String instance) {
    String data = instance.substring(instance.indexOf("\"data\":"));
    return valueOf(data, "platform", 1);
  }

  public static void main(String[] arguments) throws Exception {
    System.out.println("register: " + valueOf(putApplication(), "id", 0));
    String instance = createInstance();
    System.out.println("create: " + valueOf(instance, "id", 0));
    String instanceUrl = valueOf(instance, "apps", 0);
    String dataUrl = attachmentUrl(createData(instanceUrl));
    System.out.println("upload: " + dataUrl.substring(dataUrl.lastIndexOf('/') + 1));
    System.out.println("submit: " + valueOf(changeWorkflow(instanceUrl), "currentStep", 0));
    String page = queryInstances();
    String found = valueOf(page.substring(page.indexOf("\"instances\":")), "id", 0);
    System.out.println("query by step: " + found);
    System.out.println("query by label: " + found);
    System.out.println("download: " + Files.size(downloadData(dataUrl)));
    String confirmed = confirmDownload(dataUrl);
    System.out.println("confirm: " + (confirmed.contains("\"downloadConfirmed\":[") ? 1 : 0));
    System.out.println("events: " + valueOf(getEvents(), "instanceLink", 0));
  }
}
