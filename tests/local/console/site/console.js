// The console of the local system. It calls both APIs as a person or as the owner of the selected
// application. Texts from the APIs become text nodes, never markup.

const maxBody = 4_400_000; // bytes that a request or response can have
const maxShown = 5_000; // characters of content that the page shows
const $ = id => document.getElementById(id);

// el returns a new element. Children are nodes or texts; empty ones are left out.
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value; else node.setAttribute(name, value);
  }
  node.append(...children.filter(Boolean));
  return node;
}

// fill replaces the children of a container. If a child had the focus, the new node with the same
// id gets it, or else the heading of the instance.
function fill(container, nodes) {
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  container.replaceChildren(...nodes);
  if (focused) ($(focused.id) ?? $("instance-title")).focus({preventScroll: true});
}

const time = text => text && el("time", {dateTime: text, title: text}, new Date(text).toLocaleString());
const quiet = (...children) => el("span", {className: "quiet"}, ...children);
const badge = text => el("span", {className: "badge"}, text);

// path returns the path and query of a link. The page calls its own origin only.
function path(link) {
  const url = new URL(link, location.origin);
  return url.pathname + url.search;
}

const role = () => document.querySelector("input[name=as]:checked").value;
let app = ""; // the id of the selected application

// report shows the result of an action and announces it to screen readers.
function report(text, failed = false) {
  $("result").textContent = text;
  $("result").classList.toggle("failed", failed);
}

// run reports the text that an action returns, or its error.
async function run(action) {
  try {
    const text = await action();
    if (text) report(text);
  } catch (error) {
    report(error.message, true);
  }
}

// on runs an action at an event of a node. The event has no effect while its last action runs.
function on(node, event, action) {
  node.addEventListener(event, async e => {
    e.preventDefault();
    if (node.ariaBusy) return;
    node.ariaBusy = "true";
    await run(action);
    node.ariaBusy = null;
  });
}

function button(id, text, label, action) {
  const node = el("button", {id, type: "button", ariaLabel: label}, text);
  on(node, "click", action);
  return node;
}

// --- Requests ---
// fetched sends a request. If no response arrives, the error says what to do.
async function fetched(target, options = {}) {
  try {
    return await fetch(target, {...options, cache: "no-store"});
  } catch (error) {
    throw options.signal?.aborted ? error : new Error("The local system does not respond. Check that make run still runs.");
  }
}

const tokens = new Map();

// token returns an access token, with the command that prints such a token. The token never leaves
// the memory of this page.
async function token(as) {
  const query = as === "owner" ? `as=owner&org=${encodeURIComponent(app.split("/")[0])}` : "as=person";
  const known = tokens.get(query);
  if (known && Date.now() < known.until) return known;
  const response = await fetched(`/console/token?${query}`);
  if (!response.ok) throw new Error(await response.text());
  const issued = await response.json();
  issued.until = Date.now() + (issued.expiresIn - 60) * 1000;
  tokens.set(query, issued);
  return issued;
}

const quote = text => `'${text.replaceAll("'", "'\\''")}'`;

// curl returns the command that sends the same request. It has a placeholder for the token.
function curl(command, method, target, headers, body) {
  const start = method === "GET" ? "curl" : `curl -X ${method}`;
  const parts = [`${start} ${quote(location.origin + target)}`, `-H "Authorization: Bearer $TOKEN"`];
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quote(`${name}: ${value}`)}`);
  if (body instanceof File) parts.push(`--data-binary ${quote(`@${body.name}`)}`);
  else if (body) parts.push(`--data-raw ${quote(body)}`);
  return `TOKEN=$(${command})\n${parts.join(" \\\n  ")}`;
}

// log adds a request to the list and returns the place of its status. Only the newest is open.
function log(method, target, text) {
  for (const details of $("requests").querySelectorAll("details")) details.open = false;
  const status = badge("sent");
  const copy = el("button", {type: "button", ariaLabel: `Copy the curl command of ${method} ${target}`}, "Copy");
  on(copy, "click", async () => {
    await navigator.clipboard.writeText(text);
    return "The command is in the clipboard.";
  });
  $("requests").prepend(el("li", {}, el("details", {open: true},
    el("summary", {}, el("code", {}, `${method} ${target}`), status), el("pre", {}, text), copy)));
  while ($("requests").children.length > 50) $("requests").lastChild.remove();
  return status;
}

// call sends a request to an API and returns its response. Background requests are not in the list.
// An error has the detail of the problem, its issues, and its status.
async function call(method, target, {as = role(), headers = {}, body, background = false, signal} = {}) {
  const access = await token(as);
  const status = background ? null : log(method, target, curl(access.command, method, target, headers, body));
  const response = await fetched(target, {method, body, signal, headers: {...headers, Authorization: `Bearer ${access.token}`}});
  if (status) status.textContent = response.status;
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const issues = (problem.issues ?? []).map(issue => `• ${issue.description}`);
  const detail = problem.detail ?? problem.message ?? response.statusText;
  const error = new Error([`${response.status} ${problem.code ?? ""}: ${detail}`, ...issues].join("\n"));
  throw Object.assign(error, {status: response.status, code: problem.code});
}

const json = async (method, target, options) => (await call(method, target, options)).json();
const send = (method, target, value) => json(method, target, value ? {headers: {"Content-Type": "application/json"}, body: JSON.stringify(value)} : {});

// --- Application and list ---
const registration = id => json("GET", `/storage/applications/${id}`, {background: true});

// openApplication shows the steps, the instances and the feed of the selected application.
async function openApplication() {
  stopFeed();
  app = $("app").value.trim();
  for (const id of ["feed", "instances", "step"]) $(id).replaceChildren();
  const {workflow} = await registration(app);
  $("step").replaceChildren(el("option", {value: ""}, "any"), ...workflow.steps.map(({name}) => el("option", {value: name}, name)));
  followFeed();
  return list();
}

let listing = 0; // number of the latest list; the response of an earlier one is ignored

// list shows the instances that match the filter, the newest first, or adds the page of a link.
async function list({more = null, background = false} = {}) {
  const mine = ++listing;
  const query = new URLSearchParams({appId: app, order: "desc", size: 20});
  if ($("step").value) query.set("workflow.currentStep", $("step").value);
  if ($("label").value.trim()) query.set("label", $("label").value.trim());
  if ($("unconfirmed").checked) query.set("downloadConfirmed", "false");
  const page = await json("GET", more ?? `/storage/instances?${query}`, {background});
  if (mine !== listing) return "";
  const rows = page._embedded.instances.map(row);
  if (more) $("instances").append(...rows); else fill($("instances"), rows);
  const link = page._links.next?.href;
  $("more").hidden = !link;
  $("more").dataset.link = link ?? "";
  const count = $("instances").children.length;
  $("no-instances").hidden = count > 0;
  markCurrent();
  return `${count} ${count === 1 ? "instance" : "instances"}${link ? ", and more" : ""}.`;
}

const key = instance => `${instance.instanceOwnerId}/${instance.id}`;
const title = instance => instance.presentationField ?? instance.id;

function row(instance) {
  const link = el("a", {id: `row-${instance.id}`, href: `#${key(instance)}`}, title(instance));
  const labels = instance.labels.map(label => `${label} · `).join("");
  return el("li", {}, link, badge(instance.workflow.currentStep), quiet(labels, "changed ", time(instance.lastChangedDateTime)));
}

function markCurrent() {
  for (const li of $("instances").children) li.ariaCurrent = li.querySelector("a").hash === location.hash ? "true" : null;
}

// --- Instance ---
let shown = null, opening = 0; // the instance on the page, and the number of the latest open

// open shows the instance that the fragment of the URL names.
async function open({background = false} = {}) {
  const mine = ++opening;
  const [, id] = /^#(\d+\/[0-9a-f-]{36})$/.exec(location.hash) ?? [];
  markCurrent();
  if (!id) return close();
  try {
    const options = {background};
    const instance = await json("GET", `/storage/instances/${id}`, options);
    const [status, history, {workflow, dataTypes}] = await Promise.all([
      json("GET", `${path(instance.selfLinks.apps)}/workflow`, options),
      json("GET", `/storage/instances/${id}/events?size=1000`, options),
      registration(instance.appId),
    ]);
    if (mine !== opening) return;
    if (shown?.id !== instance.id) {
      $("content").hidden = true;
      $("form-id").replaceChildren(...dataTypes.map(({formId}) => el("option", {value: formId}, formId)));
    }
    shown = instance;
    show(instance, status, workflow);
    fill($("history"), history.map(eventItem));
    watchScans(instance);
  } catch (error) {
    if (mine === opening) close();
    throw error;
  }
}

let watch = null; // the timer of watchScans

// watchScans reads the open instance again every two seconds while a malware scan is pending, for a
// minute after the last change of its content. The page then shows each result.
function watchScans(instance) {
  clearTimeout(watch);
  const pending = instance.data.filter(element => element.scan?.status === "pending");
  const latest = Math.max(...pending.map(element => new Date(element.lastChangedDateTime)));
  if (Date.now() - latest < 60_000) watch = setTimeout(() => open({background: true}).catch(() => {}), 2000);
}

function close() {
  clearTimeout(watch);
  shown = null;
  $("instance").hidden = true;
  $("no-instance").hidden = false;
  $("instance-title").textContent = "Instance";
}

// refresh reads the open instance and the list again after an action.
const refresh = () => Promise.all([open({background: true}), list({background: true})]);

function show(instance, status, workflow) {
  $("no-instance").hidden = true;
  $("instance").hidden = false;
  $("instance-title").textContent = title(instance);
  const {isArchived, isSoftDeleted} = instance.status;
  const facts = {
    Application: instance.appId, Id: instance.id, Party: instance.instanceOwnerId, Labels: instance.labels.join(", "),
    State: [isArchived && "archived", isSoftDeleted && "deleted", instance.legalHold && "legal hold"].filter(Boolean).join(", "),
    Substatus: [status.substatus?.label, status.substatus?.description].filter(Boolean).join(": "), Reason: status.reason, Read: status.readStatus,
    Created: time(instance.createdDateTime), Changed: time(instance.lastChangedDateTime),
    Submitted: time(instance.workflow.submittedDateTime), Due: time(instance.dueDateTime),
  };
  const present = Object.entries(facts).filter(([, value]) => value);
  $("facts").replaceChildren(...present.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  fill($("steps"), workflow.steps.map(({name}) => el("li", {ariaCurrent: name === status.currentStep ? "step" : null}, name)));
  const isOwner = role() === "owner", next = status.readStatus === "Read" ? "Unread" : "Read";
  fill($("moves"), [
    ...status.reachable.map(step => button(`move-${step}`, `Move to ${step}${status.needReason?.includes(step) ? " with a reason" : ""}`, null, () => move(step))),
    isOwner && instance.data.length > 0
      && button("confirm-all", "Confirm all", null, () => confirmDownload(`/storage/instances/${key(instance)}`, "all data elements")),
    !isOwner && button("read-status", `Mark as ${next.toLowerCase()}`, null, () => change("PUT", "readStatus", {readStatus: next}, `The instance is ${next}.`)),
  ].filter(Boolean));
  $("substatus").hidden = !isOwner;
  fill($("data"), instance.data.map(dataItem));
}

// change changes a part of the open instance and returns the text.
async function change(method, part, value, text) {
  await send(method, `${path(shown.selfLinks.apps)}/${part}`, value);
  await refresh();
  return text;
}

async function move(step) {
  await change("PUT", "workflow", {currentStep: step, reason: $("reason").value.trim() || undefined});
  $("reason").value = "";
  return `The instance is in the step ${step}.`;
}

const setSubstatus = () => change("PUT", "substatus",
  {label: $("substatus-label").value, description: $("substatus-description").value || undefined}, "The person sees the substatus.");

// blocked has the problem of each content that the API did not provide, by content.
const blocked = new Map();
const contentKey = element => `${element.id} ${element.lastChangedDateTime} ${element.scan?.status}`;

// scanBadge returns the status of the malware scan of a data element, or nothing if it is not scanned.
function scanBadge({scan}) {
  if (!scan) return null;
  const isBlocked = scan.status === "infected" || scan.status === "unscannable";
  const title = scan.at ? `Malware scan: ${new Date(scan.at).toLocaleString()}` : "Malware scan";
  return el("span", {className: isBlocked ? "badge failed" : "badge", title}, `scan: ${scan.status}`);
}

function dataItem(element) {
  const {downloaded = [], downloadConfirmed = []} = element.applicationOwner ?? {};
  const name = element.fileName;
  return el("li", {}, el("strong", {}, name), badge(element.formId), element.isLocked && badge("locked"), scanBadge(element), element.lastChangedBy === shown.appId.split("/")[0] && badge("from the owner"),
    quiet(`${element.contentType} · ${element.fileSize.toLocaleString()} bytes · changed `, time(element.lastChangedDateTime)),
    downloaded.length > 0 && quiet("downloaded by the owner ", time(downloaded.at(-1))),
    downloadConfirmed.length > 0 && quiet("confirmed by the owner ", time(downloadConfirmed.at(-1))),
    blocked.has(contentKey(element)) && el("span", {className: "quiet failed"}, blocked.get(contentKey(element))),
    el("div", {className: "buttons"},
      button(`download-${element.id}`, "Download", `Download ${name}`, () => download(element)),
      role() === "owner" && button(`confirm-${element.id}`, "Confirm", `Confirm the download of ${name}`,
        () => confirmDownload(path(element.dataLinks.platform), name)),
      !element.isLocked && button(`delete-${element.id}`, "Delete", `Delete ${name}`,
        () => change("DELETE", `data/${element.id}`, null, `Deleted ${name}.`))));
}

// download saves the content as a file, and shows the beginning of a text.
async function download(element) {
  const target = path(element.dataLinks.platform);
  if (element.fileSize > maxBody) {
    log("GET", target, `${curl((await token(role())).command, "GET", target, {})} -L -o download`).textContent = "not sent";
    throw new Error("Content over 4,400,000 bytes comes from S3, not from the API. Run the curl command under Requests.");
  }
  const response = await call("GET", target).catch(async error => {
    if (!/^data-(unscanned|infected|unscannable)$/.test(error.code)) throw error;
    blocked.set(contentKey(element), error.message);
    await refresh();
    throw error;
  });
  const content = await response.blob();
  const link = el("a", {href: URL.createObjectURL(content), download: element.fileName});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  const isText = /^text\/|[/+](json|xml)\b/.test(element.contentType);
  $("content").hidden = !isText;
  if (isText) {
    $("content-title").textContent = `Content of ${element.fileName}`;
    $("content-text").textContent = (await content.text()).slice(0, maxShown);
  }
  await refresh();
  return `Downloaded ${element.fileName}, ${content.size.toLocaleString()} bytes.`;
}

async function confirmDownload(target, name) {
  await json("POST", `${target}/confirmDownload`);
  await refresh();
  return `Confirmed ${name}.`;
}

async function upload() {
  const file = $("file").files[0];
  const body = file ?? $("text").value;
  if (new Blob([body]).size > maxBody) throw new Error("A request has at most 4,400,000 bytes. events/README.md describes uploads of larger files.");
  const headers = {"Content-Type": $("content-type").value};
  if (file) {
    const name = encodeURIComponent(file.name).replace(/['()*]/g, c => `%${c.charCodeAt(0).toString(16)}`);
    headers["Content-Disposition"] = `attachment; filename*=UTF-8''${name}`;
  }
  const formId = $("form-id").value;
  await json("POST", `${path(shown.selfLinks.apps)}/data?formId=${encodeURIComponent(formId)}`, {headers, body});
  $("file").value = "";
  await refresh();
  return `Uploaded ${file?.name ?? formId}.`;
}

async function create() {
  const labels = $("labels").value.split(",").map(label => label.trim()).filter(Boolean);
  const presentationField = $("presentation").value.trim();
  const reportee = {ssn: $("ssn").value.trim()};
  const instance = await send("POST", `/${app}/instances`, {reportee, labels, ...(presentationField && {presentationField})});
  location.hash = key(instance);
  await list({background: true});
  return `Created the instance ${instance.id}.`;
}

// --- History and feed ---
function eventItem(event) {
  const details = [event.change, event.formId, event.members?.join(", "), event.cause].filter(Boolean).join(", ");
  return el("li", {}, el("strong", {}, event.eventType), badge(event.workflowStep),
    quiet(time(event.at), ` by ${event.userId}`, details && ` · ${details}`));
}

let feed = null; // the AbortController of the followed feed

function stopFeed() {
  feed?.abort();
  feed = null;
  $("follow").textContent = "Follow";
  $("feed-status").textContent = "stopped";
}

// followFeed polls the feed as the owner until stopFeed. Each poll waits for an event and continues
// from the last one. It pauses while the page is hidden, and waits longer after every failure.
async function followFeed() {
  stopFeed();
  const {signal} = feed = new AbortController();
  let target = `/storage/applications/${app}/events`;
  let delay = 1000, isFirst = true; // only the first poll is in the list of requests
  $("feed").replaceChildren();
  $("follow").textContent = "Stop";
  $("feed-status").textContent = "following";
  while (!signal.aborted) {
    try {
      if (document.hidden) await new Promise(resolve => document.addEventListener("visibilitychange", resolve, {once: true}));
      const response = await call("GET", target, {as: "owner", headers: {Prefer: "wait=20"}, signal, background: !isFirst});
      const events = await response.json();
      if (signal.aborted) return;
      for (const event of events) {
        const item = eventItem(event);
        item.append(el("a", {href: `#${event.instanceLink.split("/").slice(-2).join("/")}`}, "Show instance"));
        $("feed").prepend(item);
      }
      while ($("feed").children.length > 100) $("feed").lastChild.remove();
      const link = /<([^>]*)>; rel="next"/.exec(response.headers.get("Link"));
      if (link) target = path(link[1]);
      isFirst = false;
      delay = 1000;
      $("feed-status").textContent = "following";
    } catch (error) {
      if (signal.aborted) return;
      const isFinal = error.status >= 400 && error.status < 500 && error.status !== 429;
      if (isFinal) stopFeed();
      $("feed-status").textContent = isFinal ? error.message : `${error.message} The next poll is in ${delay / 1000} s.`;
      if (!isFinal) await new Promise(resolve => setTimeout(resolve, delay));
      delay = Math.min(delay * 2, 30_000);
    }
  }
}

// --- Events of the page ---
on($("application"), "submit", openApplication);
on($("filter"), "submit", () => list());
on($("more"), "click", () => list({more: path($("more").dataset.link)}));
on($("create"), "submit", create);
on($("upload"), "submit", upload);
on($("substatus"), "submit", setSubstatus);
on($("substatus-clear"), "click", () => change("DELETE", "substatus", null, "The instance has no substatus."));
on($("follow"), "click", () => feed ? stopFeed() : void followFeed());
on($("file"), "change", () => { $("content-type").value = $("file").files[0]?.type || $("content-type").value; });
$("roles").addEventListener("change", () => run(async () => {
  const [text] = await Promise.all([list(), open({background: true})]);
  return `You act as the ${role()}. ${text}`;
}));
window.addEventListener("hashchange", () => run(async () => {
  await open();
  $("instance-title").focus();
}));
await run(openApplication);
if (location.hash) await run(open);
