// Reports as a user, and processes the report as the application owner, with openapi-fetch and the
// types that openapi-typescript generates from apps.yaml and storage.yaml.
import { readFile, writeFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { paths as Apps } from "./apps.js";
import type { components, paths as Storage } from "./storage.js";

const env = (name: string): string => process.env[name] ?? "";
const org = "nav";
const app = env("APP");

const user = createClient<Apps>({ baseUrl: env("APPS_URL"), headers: { Authorization: `Bearer ${env("USER_TOKEN")}` } });
const changer = createClient<Apps>({ baseUrl: env("APPS_URL"), headers: { Authorization: `Bearer ${env("OWNER_TOKEN")}` } });
const owner = createClient<Storage>({ baseUrl: env("STORAGE_URL"), headers: { Authorization: `Bearer ${env("OWNER_TOKEN")}` } });

// data returns the data of a response. Any other response is a problem.
function data<T>({ data, error }: { data?: T; error?: unknown }): T {
  if (data === undefined) throw new Error(JSON.stringify(error));
  return data;
}

// pdf returns the options that send a file as it is. The generated type of binary content is string.
function pdf(content: Buffer) {
  return { body: content as unknown as string, bodySerializer: (body: unknown) => body, headers: { "Content-Type": "application/pdf" } };
}

// The application owner registers an application.
const registered = data(await owner.PUT("/storage/applications/{org}/{app}", {
  params: { path: { org, app } },
  body: {
    title: { nb: "Arbeidsmelding" },
    dataTypes: [
      { formId: "form", allowedContentTypes: ["application/json"], minCount: 1, maxCount: 1 },
      { formId: "attachment", allowedContentTypes: ["application/pdf"] },
    ],
  },
}));
console.log("register:", registered.id);

// The user creates an instance with its form, attaches a file and replaces the file.
const created = data(await user.POST("/{org}/{app}/instances", {
  params: { path: { org, app } },
  body: {
    reportee: { ssn: env("SSN") },
    labels: ["gr"],
    data: [{ formId: "form", contentType: "application/json", content: btoa('{"timer": 37}') }],
  },
}));
const instance = { org, app, instanceOwnerId: created.instanceOwnerId, instanceGuid: created.id };
console.log("create:", created.id);

const uploaded = data(await user.POST("/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data", {
  params: {
    path: instance,
    query: { formId: "attachment" },
    header: { "Content-Disposition": 'attachment; filename="kvittering.pdf"' },
  },
  ...pdf(await readFile(env("DRAFT"))),
}));
const attachment = { ...instance, dataGuid: uploaded.data[1].id };
console.log("upload:", attachment.dataGuid);

const final = await readFile(env("FINAL"));
const replaced = data(await user.PUT("/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", {
  params: { path: attachment },
  ...pdf(final),
}));
console.log("replace:", replaced.data[1].fileSize);

// The user submits the instance. Its data is then locked.
const submitted = data(await user.PUT("/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/workflow", {
  params: { path: instance },
  body: { currentStep: "Submit" },
}));
console.log("submit:", submitted.workflow.currentStep);

const { error: problem } = await user.PUT("/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", {
  params: { path: attachment },
  ...pdf(final),
});
if (problem && "code" in problem) console.log("problem:", problem.status, problem.code);

// The application owner sends the instance back with a reason.
const sentBack = data(await changer.PUT("/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/workflow", {
  params: { path: instance },
  body: { currentStep: "FormFilling", reason: "Kvitteringen mangler." },
}));
console.log("send back:", sentBack.workflow.reason);

// The user replaces the form, adds two attachments and submits again, in one request. The content
// is in the parts of a form, of which the caller chooses the names.
const changed = data(await user.POST("/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/changes", {
  params: { path: instance },
  body: {
    data: [
      { op: "replace", id: created.data[0].id, part: "form" },
      { op: "add", formId: "attachment", part: "receipt" },
      { op: "add", formId: "attachment", part: "contract" },
    ],
    workflow: { currentStep: "Submit" },
  },
  bodySerializer: (changes: unknown) => {
    const parts = new FormData();
    parts.set("changes", new Blob([JSON.stringify(changes)], { type: "application/json" }));
    parts.set("form", new Blob(['{"timer": 38}'], { type: "application/json" }));
    parts.set("receipt", new Blob([final], { type: "application/pdf" }), "kvittering.pdf");
    parts.set("contract", new Blob([final], { type: "application/pdf" }), "kontrakt.pdf");
    return parts;
  },
}));
console.log("changes:", changed.data.length, changed.workflow.currentStep);

// The application owner finds the instance by its step and by its label.
const ids = (page: components["schemas"]["InstancePage"]) => page._embedded.instances.map((found) => found.id).join(" ");
const appId = [`${org}/${app}`];
const byStep = data(await owner.GET("/storage/instances", { params: { query: { appId, "workflow.currentStep": "Submit" } } }));
console.log("query by step:", ids(byStep));

const byLabel = data(await owner.GET("/storage/instances", { params: { query: { appId, label: ["gr"] } } }));
console.log("query by label:", ids(byLabel));

// The application owner downloads the attachment and confirms the download.
const content = data(await owner.GET("/storage/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", {
  params: { path: attachment },
  parseAs: "arrayBuffer",
}));
await writeFile(env("SAVE_AS"), Buffer.from(content));
console.log("download:", content.byteLength);

const confirmed = data(await owner.POST("/storage/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}/confirmDownload", {
  params: { path: attachment },
}));
console.log("confirm:", confirmed.data[1].applicationOwner?.downloadConfirmed?.length);

// The application owner downloads the rest and confirms all of the instance, with other instances if
// there are any, in one request.
for (const { id: dataGuid } of changed.data) {
  if (dataGuid === attachment.dataGuid) continue;
  data(await owner.GET("/storage/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", {
    params: { path: { ...instance, dataGuid } },
    parseAs: "arrayBuffer",
  }));
}
const { results } = data(await owner.POST("/storage/confirmDownload", {
  body: { instances: [{ instanceOwnerId: created.instanceOwnerId, id: created.id }] },
}));
for (const { id, status } of results) console.log("confirm many:", id, status);

// The application owner sets a substatus and clears it. The user marks the instance as read.
const substatus = "/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/substatus";
const setSubstatus = data(await changer.PUT(substatus, {
  params: { path: instance },
  body: { label: "Under behandling", description: "Saken er fordelt." },
}));
const cleared = data(await changer.DELETE(substatus, { params: { path: instance } }));
console.log("substatus:", setSubstatus.status.substatus?.label, cleared.status.substatus !== undefined);

const read = data(await user.PUT("/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/readStatus", {
  params: { path: instance },
  body: { readStatus: "Read" },
}));
console.log("read status:", cleared.status.readStatus, read.status.readStatus);

// The application owner sets a date and clears it: an empty text is null.
const set: boolean[] = [];
for (const dueDateTime of ["2099-12-31T23:00:00Z", ""]) {
  const updated = data(await changer.PATCH("/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}", { params: { path: instance }, body: { dueDateTime } }));
  set.push(updated.dueDateTime !== undefined);
}
console.log("set and clear a date:", ...set);

// The event of the submission reaches the feed after about a second. The request waits for it. Later
// versions can add types of events.
const events = data(await owner.GET("/storage/applications/{org}/{app}/events", {
  params: { path: { org, app }, query: { "workflow.currentStep": "Submit" }, header: { Prefer: "wait=20" } },
}));
for (const event of events) {
  if (event.eventType === "WorkflowStateChange") console.log("events:", event.instanceLink);
}
