import altinn.apps.ApiException;
import altinn.apps.JSON;
import altinn.apps.api.DataApi;
import altinn.apps.api.InstancesApi;
import altinn.apps.api.WorkflowApi;
import altinn.apps.model.Changes;
import altinn.apps.model.DataElementInput;
import altinn.apps.model.DataOperation;
import altinn.apps.model.Instance;
import altinn.apps.model.InstanceInput;
import altinn.apps.model.InstancePatch;
import altinn.apps.model.NextStep;
import altinn.apps.model.Problem;
import altinn.apps.model.ReadStatusInput;
import altinn.apps.model.Reportee;
import altinn.apps.model.SubstatusInput;
import altinn.storage.api.ApplicationsApi;
import altinn.storage.api.EventsApi;
import altinn.storage.model.ApplicationInput;
import altinn.storage.model.ConfirmDownloads;
import altinn.storage.model.ConfirmItem;
import altinn.storage.model.DataTypeInput;
import altinn.storage.model.Event;
import altinn.storage.model.InstancePage;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import okhttp3.Interceptor;
import okhttp3.MediaType;
import okhttp3.MultipartBody;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

/**
 * Reports as a user, and processes the report as the application owner, with the clients that
 * openapi-generator generates from apps.yaml and storage.yaml.
 */
public final class Main {
    private static final String ORG = "nav";
    private static final String APP = System.getenv("APP");

    public static void main(String[] args) throws Exception {
        var http = new OkHttpClient.Builder().addNetworkInterceptor(Main::sendAsPDF).build();
        var apps = new altinn.apps.ApiClient(http).setBasePath(System.getenv("APPS_URL"));
        ((altinn.apps.auth.HttpBearerAuth) apps.getAuthentication("user")).setBearerToken(System.getenv("USER_TOKEN"));
        var changer = new altinn.apps.ApiClient().setBasePath(System.getenv("APPS_URL"));
        ((altinn.apps.auth.HttpBearerAuth) changer.getAuthentication("owner")).setBearerToken(System.getenv("OWNER_TOKEN"));
        var storage = new altinn.storage.ApiClient().setBasePath(System.getenv("STORAGE_URL")).setReadTimeout(30_000);
        ((altinn.storage.auth.HttpBearerAuth) storage.getAuthentication("owner")).setBearerToken(System.getenv("OWNER_TOKEN"));

        // The application owner registers an application.
        var registered = new ApplicationsApi(storage).putApplication(ORG, APP, new ApplicationInput()
                .title(Map.of("nb", "Arbeidsmelding"))
                .addDataTypesItem(new DataTypeInput().formId("form").addAllowedContentTypesItem("application/json").minCount(1).maxCount(1))
                .addDataTypesItem(new DataTypeInput().formId("attachment").addAllowedContentTypesItem("application/pdf"))).execute();
        System.out.println("register: " + registered.getId());

        // The user creates an instance with its form, attaches a file and replaces the file.
        Instance instance = new InstancesApi(apps).createInstance(ORG, APP, new InstanceInput()
                .reportee(new Reportee().ssn(System.getenv("SSN")))
                .labels(Set.of("gr"))
                .addDataItem(new DataElementInput().formId("form").contentType("application/json")
                        .content(Base64.getEncoder().encodeToString("{\"timer\": 37}".getBytes())))).execute();
        String party = instance.getInstanceOwnerId();
        String guid = instance.getId();
        System.out.println("create: " + guid);

        var files = new DataApi(apps);
        instance = files.createData("attachment", ORG, APP, party, guid)
                .contentDisposition("attachment; filename=\"kvittering.pdf\"").body(new File(System.getenv("DRAFT"))).execute();
        String attachment = instance.getData().get(1).getId();
        System.out.println("upload: " + attachment);

        var finalFile = new File(System.getenv("FINAL"));
        instance = files.replaceData(ORG, APP, party, guid, attachment).body(finalFile).execute();
        System.out.println("replace: " + instance.getData().get(1).getFileSize());

        // The user submits the instance. Its data is then locked.
        instance = new WorkflowApi(apps).changeWorkflow(ORG, APP, party, guid, new NextStep().currentStep("Submit")).execute();
        System.out.println("submit: " + instance.getWorkflow().getCurrentStep());

        try {
            files.replaceData(ORG, APP, party, guid, attachment).body(finalFile).execute();
        } catch (ApiException e) {
            Problem problem = JSON.deserialize(e.getResponseBody(), Problem.class);
            System.out.println("problem: " + problem.getStatus() + " " + problem.getCode());
        }

        // The application owner sends the instance back with a reason.
        var feedback = new WorkflowApi(changer);
        instance = feedback.changeWorkflow(ORG, APP, party, guid,
                new NextStep().currentStep("FormFilling").reason("Kvitteringen mangler.")).execute();
        System.out.println("send back: " + instance.getWorkflow().getReason());

        // The user replaces the form, adds two attachments and submits again, in one request. The
        // generated client has no form, because the caller chooses the names of the parts.
        var changes = new Changes()
                .addDataItem(new DataOperation().op(DataOperation.OpEnum.REPLACE).id(instance.getData().get(0).getId()).part("form"))
                .addDataItem(new DataOperation().op(DataOperation.OpEnum.ADD).formId("attachment").part("receipt"))
                .addDataItem(new DataOperation().op(DataOperation.OpEnum.ADD).formId("attachment").part("contract"))
                .workflow(new NextStep().currentStep("Submit"));
        var json = MediaType.get("application/json");
        var pdf = MediaType.get("application/pdf");
        var form = new MultipartBody.Builder().setType(MultipartBody.FORM)
                .addFormDataPart("changes", null, RequestBody.create(JSON.serialize(changes), json))
                .addFormDataPart("form", null, RequestBody.create("{\"timer\": 38}", json))
                .addFormDataPart("receipt", "kvittering.pdf", RequestBody.create(finalFile, pdf))
                .addFormDataPart("contract", "kontrakt.pdf", RequestBody.create(finalFile, pdf)).build();
        var request = new Request.Builder().url(apps.getBasePath() + "/" + ORG + "/" + APP + "/instances/" + party + "/" + guid + "/changes")
                .header("Authorization", "Bearer " + System.getenv("USER_TOKEN")).post(form).build();
        instance = apps.<Instance>execute(http.newCall(request), Instance.class).getData();
        System.out.println("changes: " + instance.getData().size() + " " + instance.getWorkflow().getCurrentStep());

        // The application owner finds the instance by its step and by its label.
        var instances = new altinn.storage.api.InstancesApi(storage);
        var appId = List.of(ORG + "/" + APP);
        System.out.println("query by step: " + ids(instances.queryInstances().appId(appId).workflowCurrentStep("Submit").execute()));
        System.out.println("query by label: " + ids(instances.queryInstances().appId(appId).label(List.of("gr")).execute()));

        // The application owner downloads the attachment and confirms the download.
        var data = new altinn.storage.api.DataApi(storage);
        File downloaded = data.downloadData(party, guid, attachment).execute();
        Files.move(downloaded.toPath(), Path.of(System.getenv("SAVE_AS")), StandardCopyOption.REPLACE_EXISTING);
        System.out.println("download: " + Files.size(Path.of(System.getenv("SAVE_AS"))));

        var confirmed = data.confirmDownload(party, guid, attachment).execute();
        System.out.println("confirm: " + confirmed.getData().get(1).getApplicationOwner().getDownloadConfirmed().size());

        // The application owner downloads the rest and confirms all of the instance, with other
        // instances if there are any, in one request.
        for (var element : instance.getData()) {
            if (!element.getId().equals(attachment)) {
                Files.delete(data.downloadData(party, guid, element.getId()).execute().toPath());
            }
        }
        var many = data.confirmManyDownloads(new ConfirmDownloads()
                .addInstancesItem(new ConfirmItem().instanceOwnerId(party).id(guid))).execute();
        for (var result : many.getResults()) {
            System.out.println("confirm many: " + result.getId() + " " + result.getStatus());
        }

        // The application owner sets a substatus and clears it. The user marks the instance as read.
        instance = feedback.setSubstatus(ORG, APP, party, guid,
                new SubstatusInput().label("Under behandling").description("Saken er fordelt.")).execute();
        String label = instance.getStatus().getSubstatus().getLabel();
        instance = feedback.clearSubstatus(ORG, APP, party, guid).execute();
        System.out.println("substatus: " + label + " " + (instance.getStatus().getSubstatus() != null));

        var read = new WorkflowApi(apps).setReadStatus(ORG, APP, party, guid,
                new ReadStatusInput().readStatus(ReadStatusInput.ReadStatusEnum.READ)).execute();
        System.out.println("read status: " + instance.getStatus().getReadStatus() + " " + read.getStatus().getReadStatus());

        // The application owner sets a date and clears it: an empty text is null.
        System.out.print("set and clear a date:");
        for (String due : List.of("2099-12-31T23:00:00Z", "")) {
            instance = new InstancesApi(changer).updateInstance(ORG, APP, party, guid, new InstancePatch().dueDateTime(due)).execute();
            System.out.print(" " + (instance.getDueDateTime() != null));
        }
        System.out.println();

        // The event of the submission reaches the feed after about a second. The request waits for
        // it. Later versions can add types of events.
        for (Event event : new EventsApi(storage).getEvents(ORG, APP).workflowCurrentStep("Submit").prefer("wait=20").execute()) {
            if (event.getEventType().equals("WorkflowStateChange")) {
                System.out.println("events: " + event.getInstanceLink());
            }
        }
    }

    /** Names the media type of content, which the generated client sends as application/octet-stream. */
    private static Response sendAsPDF(Interceptor.Chain chain) throws IOException {
        Request request = chain.request();
        if ("application/octet-stream".equals(request.header("Content-Type"))) {
            request = request.newBuilder().header("Content-Type", "application/pdf").build();
        }
        return chain.proceed(request);
    }

    private static String ids(InstancePage page) {
        return page.getEmbedded().getInstances().stream().map(altinn.storage.model.Instance::getId).collect(Collectors.joining(" "));
    }
}
