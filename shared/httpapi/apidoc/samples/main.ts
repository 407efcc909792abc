// Does the main job of the API with fetch, in Node.js 20.
// sample: setup
import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";

const { APPS_URL: apps, STORAGE_URL: storage, APP: app, SSN: ssn, USER_TOKEN, OWNER_TOKEN } = process.env;
const user = { Authorization: `Bearer ${USER_TOKEN}` };
const owner = { Authorization: `Bearer ${OWNER_TOKEN}` };

async function send(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(await response.text());
  return response;
}
// end

type Links = { apps: string; platform: string };
type Element = { id: string; dataLinks: Links; applicationOwner?: { downloadConfirmed?: string[] } };
type Instance = { id: string; selfLinks: Links; workflow: { currentStep: string }; data: Element[] };

async function putApplication(): Promise<{ id: string }> {
  // sample: putApplication
  const response = await send(`${storage}/storage/applications/nav/${app}`, {
    method: "PUT",
    headers: { ...owner, "Content-Type": "application/json" },
    body: JSON.stringify({
      title: { nb: "Arbeidsmelding" },
      dataTypes: [
        { formId: "form", allowedContentTypes: ["application/json"], minCount: 1, maxCount: 1 },
        { formId: "attachment", allowedContentTypes: ["application/pdf"] },
      ],
    }),
  });
  const application = await response.json();
  // end
  return application;
}

async function createInstance(): Promise<Instance> {
  // sample: createInstance
  const form = Buffer.from('{"timer": 37}').toString("base64");
  const response = await send(`${apps}/nav/${app}/instances`, {
    method: "POST",
    headers: { ...user, "Content-Type": "application/json", "Idempotency-Key": randomUUID() },
    body: JSON.stringify({
      reportee: { ssn },
      labels: ["gr"],
      data: [{ formId: "form", contentType: "application/json", content: form }],
    }),
  });
  const instance = await response.json();
  // end
  return instance;
}

async function createData(instance: Instance): Promise<Instance> {
  // sample: createData
  const response = await send(`${instance.selfLinks.apps}/data?formId=attachment`, {
    method: "POST",
    headers: {
      ...user,
      "Content-Type": "application/pdf",
      "Content-Disposition": 'attachment; filename="kvittering.pdf"',
    },
    body: await readFile("kvittering.pdf"),
  });
  const changed = await response.json();
  // end
  return changed;
}

async function changeWorkflow(instance: Instance): Promise<Instance> {
  // sample: changeWorkflow
  const response = await send(`${instance.selfLinks.apps}/workflow`, {
    method: "PUT",
    headers: { ...user, "Content-Type": "application/json" },
    body: JSON.stringify({ currentStep: "Submit" }),
  });
  const submitted = await response.json();
  // end
  return submitted;
}

async function queryInstances(): Promise<Instance[]> {
  // sample: queryInstances
  const query = new URLSearchParams({ appId: `nav/${app}`, "workflow.currentStep": "Submit", label: "gr" });
  const instances = [];
  let url: string | undefined = `${storage}/storage/instances?${query}`;
  while (url) {
    const response: Response = await send(url, { headers: owner });
    const page = await response.json();
    instances.push(...page._embedded.instances);
    url = page._links.next?.href;
  }
  // end
  return instances;
}

async function downloadData(element: Element): Promise<number> {
  // sample: downloadData
  // fetch follows the redirect of large content, without the token.
  const response = await send(element.dataLinks.platform, { headers: owner });
  const content = Buffer.from(await response.arrayBuffer());
  await writeFile("saved.pdf", content);
  // end
  return content.length;
}

async function confirmDownload(element: Element): Promise<Instance> {
  // sample: confirmDownload
  const response = await send(`${element.dataLinks.platform}/confirmDownload`, { method: "POST", headers: owner });
  const instance = await response.json();
  // end
  return instance;
}

async function getEvents(): Promise<string> {
  // sample: getEvents
  // The request waits up to 20 seconds for an event. The header Link has the URL of the next request.
  const response = await send(`${storage}/storage/applications/nav/${app}/events?workflow.currentStep=Submit`, {
    headers: { ...owner, Prefer: "wait=20" },
  });
  for (const event of await response.json()) console.log("events:", event.instanceLink);
  const next = response.headers.get("Link");
  // end
  return next ?? "";
}

console.log("register:", (await putApplication()).id);
const created = await createInstance();
console.log("create:", created.id);
const uploaded = await createData(created);
console.log("upload:", uploaded.data[1].id);
console.log("submit:", (await changeWorkflow(created)).workflow.currentStep);
const [found] = await queryInstances();
console.log("query by step:", found.id);
console.log("query by label:", found.id);
console.log("download:", await downloadData(found.data[1]));
const confirmed = await confirmDownload(found.data[1]);
console.log("confirm:", confirmed.data[1].applicationOwner?.downloadConfirmed?.length);
await getEvents();
