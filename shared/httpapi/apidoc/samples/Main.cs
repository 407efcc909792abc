// Does the main job of the API with HttpClient.
// sample: setup
using System;
using System.IO;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text;
using System.Threading.Tasks;
// end
using System.Linq;
using System.Text.RegularExpressions;

static class Program
{
    // sample: setup
    static readonly HttpClient http = new HttpClient();
    static readonly string apps = Environment.GetEnvironmentVariable("APPS_URL");
    static readonly string storage = Environment.GetEnvironmentVariable("STORAGE_URL");
    static readonly string app = Environment.GetEnvironmentVariable("APP");
    static readonly string user = Environment.GetEnvironmentVariable("USER_TOKEN");
    static readonly string owner = Environment.GetEnvironmentVariable("OWNER_TOKEN");

    static async Task<HttpResponseMessage> Send(HttpRequestMessage request, string token)
    {
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        var response = await http.SendAsync(request);
        if (!response.IsSuccessStatusCode) throw new Exception(await response.Content.ReadAsStringAsync());
        return response;
    }
    // end

    static async Task<string> PutApplication()
    {
        // sample: putApplication
        var registration = new StringContent(@"{
            ""title"": {""nb"": ""Arbeidsmelding""},
            ""dataTypes"": [
                {""formId"": ""form"", ""allowedContentTypes"": [""application/json""], ""minCount"": 1, ""maxCount"": 1},
                {""formId"": ""attachment"", ""allowedContentTypes"": [""application/pdf""]}]}", Encoding.UTF8, "application/json");
        var url = storage + "/storage/applications/nav/" + app;
        var response = await Send(new HttpRequestMessage(HttpMethod.Put, url) { Content = registration }, owner);
        var application = await response.Content.ReadAsStringAsync();
        // end
        return application;
    }

    static async Task<string> CreateInstance()
    {
        // sample: createInstance
        var form = Convert.ToBase64String(Encoding.UTF8.GetBytes("{\"timer\": 37}"));
        var ssn = Environment.GetEnvironmentVariable("SSN");
        var document = new StringContent($@"{{
            ""reportee"": {{""ssn"": ""{ssn}""}},
            ""labels"": [""gr""],
            ""data"": [{{""formId"": ""form"", ""contentType"": ""application/json"", ""content"": ""{form}""}}]}}", Encoding.UTF8, "application/json");
        var request = new HttpRequestMessage(HttpMethod.Post, apps + "/nav/" + app + "/instances") { Content = document };
        request.Headers.Add("Idempotency-Key", Guid.NewGuid().ToString());
        var response = await Send(request, user);
        var instance = await response.Content.ReadAsStringAsync();
        // end
        return instance;
    }

    static async Task<string> CreateData(string instanceUrl)
    {
        // sample: createData
        // instanceUrl is selfLinks.apps of the instance.
        var file = new ByteArrayContent(File.ReadAllBytes("kvittering.pdf"));
        file.Headers.ContentType = new MediaTypeHeaderValue("application/pdf");
        file.Headers.ContentDisposition = new ContentDispositionHeaderValue("attachment") { FileName = "kvittering.pdf" };
        var url = instanceUrl + "/data?formId=attachment";
        var response = await Send(new HttpRequestMessage(HttpMethod.Post, url) { Content = file }, user);
        var instance = await response.Content.ReadAsStringAsync();
        // end
        return instance;
    }

    static async Task<string> ChangeWorkflow(string instanceUrl)
    {
        // sample: changeWorkflow
        // instanceUrl is selfLinks.apps of the instance.
        var step = new StringContent("{\"currentStep\": \"Submit\"}", Encoding.UTF8, "application/json");
        var response = await Send(new HttpRequestMessage(HttpMethod.Put, instanceUrl + "/workflow") { Content = step }, user);
        var instance = await response.Content.ReadAsStringAsync();
        // end
        return instance;
    }

    static async Task<string> QueryInstances()
    {
        // sample: queryInstances
        var query = "?appId=nav/" + app + "&workflow.currentStep=Submit&label=gr";
        var response = await Send(new HttpRequestMessage(HttpMethod.Get, storage + "/storage/instances" + query), owner);
        var page = await response.Content.ReadAsStringAsync();
        // end
        return page;
    }

    static async Task<int> DownloadData(string dataUrl)
    {
        // sample: downloadData
        // dataUrl is dataLinks.platform of the data element. HttpClient follows the redirect of large
        // content, without the token.
        var response = await Send(new HttpRequestMessage(HttpMethod.Get, dataUrl), owner);
        var content = await response.Content.ReadAsByteArrayAsync();
        File.WriteAllBytes("saved.pdf", content);
        // end
        return content.Length;
    }

    static async Task<string> ConfirmDownload(string dataUrl)
    {
        // sample: confirmDownload
        // dataUrl is dataLinks.platform of the data element.
        var response = await Send(new HttpRequestMessage(HttpMethod.Post, dataUrl + "/confirmDownload"), owner);
        var instance = await response.Content.ReadAsStringAsync();
        // end
        return instance;
    }

    static async Task<string> GetEvents()
    {
        // sample: getEvents
        // The request waits up to 20 seconds for an event. The header Link has the URL of the next request.
        var request = new HttpRequestMessage(HttpMethod.Get, storage + "/storage/applications/nav/" + app + "/events?workflow.currentStep=Submit");
        request.Headers.Add("Prefer", "wait=20");
        var response = await Send(request, owner);
        var next = string.Join(",", response.Headers.GetValues("Link"));
        var events = await response.Content.ReadAsStringAsync();
        // end
        return next != "" ? events : "";
    }

    // ValueOf returns the value of a member that is a string, at its n-th place.
    static string ValueOf(string json, string member, int n = 0)
    {
        return Regex.Matches(json, "\"" + member + "\":\"([^\"]*)\"").Cast<Match>().ElementAt(n).Groups[1].Value;
    }

    static async Task Run()
    {
        Console.WriteLine("register: " + ValueOf(await PutApplication(), "id"));
        var instance = await CreateInstance();
        Console.WriteLine("create: " + ValueOf(instance, "id"));
        var instanceUrl = ValueOf(instance, "apps");
        instance = await CreateData(instanceUrl);
        var dataUrl = ValueOf(instance.Substring(instance.IndexOf("\"data\":")), "platform", 1);
        Console.WriteLine("upload: " + dataUrl.Substring(dataUrl.LastIndexOf('/') + 1));
        Console.WriteLine("submit: " + ValueOf(await ChangeWorkflow(instanceUrl), "currentStep"));
        var page = await QueryInstances();
        var found = ValueOf(page.Substring(page.IndexOf("\"instances\":")), "id");
        Console.WriteLine("query by step: " + found);
        Console.WriteLine("query by label: " + found);
        Console.WriteLine("download: " + await DownloadData(dataUrl));
        Console.WriteLine("confirm: " + ((await ConfirmDownload(dataUrl)).Contains("\"downloadConfirmed\":[") ? 1 : 0));
        Console.WriteLine("events: " + ValueOf(await GetEvents(), "instanceLink"));
    }

    static void Main()
    {
        Run().GetAwaiter().GetResult();
    }
}
