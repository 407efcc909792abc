"""Report as a user, and process the report as the application owner, with the clients that
openapi-python-client generates from apps.yaml and storage.yaml."""

import base64
import io
import json
import os
import pathlib
from typing import TypeVar

import altinn_apps
import altinn_apps.models as apps
import altinn_storage
import altinn_storage.models as storage
import httpx
from altinn_apps.api.data import create_data, replace_data
from altinn_apps.api.instances import create_instance, update_instance
from altinn_apps.api.workflow import change_workflow, clear_substatus, set_read_status, set_substatus
from altinn_storage.api.applications import put_application
from altinn_storage.api.data import confirm_download, confirm_many_downloads, download_data
from altinn_storage.api.events import get_events
from altinn_storage.api.instances import query_instances

ORG = "nav"
APP = os.environ["APP"]
T = TypeVar("T")


def expect(kind: type[T], response: object) -> T:
    """Return the response if it is of the given kind. Any other response is a problem."""
    if not isinstance(response, kind):
        raise SystemExit(f"unexpected response: {response}")
    return response


def send_as_pdf(request: httpx.Request) -> None:
    """Name the media type of content, which the generated client sends as application/octet-stream."""
    if request.headers.get("Content-Type") == "application/octet-stream":
        request.headers["Content-Type"] = "application/pdf"


def file(path: str) -> altinn_apps.types.File:
    return altinn_apps.types.File(payload=io.BytesIO(pathlib.Path(path).read_bytes()))


user = altinn_apps.AuthenticatedClient(os.environ["APPS_URL"], os.environ["USER_TOKEN"],
                                       httpx_args={"event_hooks": {"request": [send_as_pdf]}})
changer = altinn_apps.AuthenticatedClient(os.environ["APPS_URL"], os.environ["OWNER_TOKEN"])
owner = altinn_storage.AuthenticatedClient(os.environ["STORAGE_URL"], os.environ["OWNER_TOKEN"],
                                           timeout=httpx.Timeout(30), follow_redirects=True)

# The application owner registers an application.
registered = expect(storage.Application, put_application.sync(ORG, APP, client=owner, body=storage.ApplicationInput(
    title=storage.Title.from_dict({"nb": "Arbeidsmelding"}),
    data_types=[storage.DataTypeInput("form", allowed_content_types=["application/json"], min_count=1, max_count=1),
                storage.DataTypeInput("attachment", allowed_content_types=["application/pdf"])])))
print("register:", registered.id)

# The user creates an instance with its form, attaches a file and replaces the file.
form = base64.b64encode(b'{"timer": 37}').decode()
instance = expect(apps.Instance, create_instance.sync(ORG, APP, client=user, body=apps.InstanceInput(
    reportee=apps.Reportee(ssn=os.environ["SSN"]), labels=["gr"],
    data=[apps.DataElementInput(form_id="form", content_type="application/json", content=form)])))
party, guid = instance.instance_owner_id, instance.id
print("create:", guid)

instance = expect(apps.Instance, create_data.sync(ORG, APP, party, guid, client=user, body=file(os.environ["DRAFT"]),
                                                  form_id="attachment", content_disposition='attachment; filename="kvittering.pdf"'))
attachment = instance.data[1].id
print("upload:", attachment)

instance = expect(apps.Instance, replace_data.sync(ORG, APP, party, guid, attachment, client=user, body=file(os.environ["FINAL"])))
print("replace:", instance.data[1].file_size)

# The user submits the instance. Its data is then locked.
instance = expect(apps.Instance, change_workflow.sync(ORG, APP, party, guid, client=user, body=apps.NextStep("Submit")))
print("submit:", instance.workflow.current_step)

problem = expect(apps.Problem, replace_data.sync(ORG, APP, party, guid, attachment, client=user, body=file(os.environ["FINAL"])))
print("problem:", problem.status, problem.code)

# The application owner sends the instance back with a reason.
instance = expect(apps.Instance, change_workflow.sync(ORG, APP, party, guid, client=changer,
                                                      body=apps.NextStep("FormFilling", reason="Kvitteringen mangler.")))
print("send back:", instance.workflow.reason)

# The user replaces the form, adds two attachments and submits again, in one request. The generated
# client has no form, because the caller chooses the names of the parts.
changes = apps.Changes(
    data=[apps.DataOperation(apps.DataOperationOp.REPLACE, id=instance.data[0].id, part="form"),
          apps.DataOperation(apps.DataOperationOp.ADD, form_id="attachment", part="receipt"),
          apps.DataOperation(apps.DataOperationOp.ADD, form_id="attachment", part="contract")],
    workflow=apps.NextStep("Submit"))
final = pathlib.Path(os.environ["FINAL"]).read_bytes()
response = user.get_httpx_client().post(f"/{ORG}/{APP}/instances/{party}/{guid}/changes", files={
    "changes": (None, json.dumps(changes.to_dict()), "application/json"),
    "form": (None, '{"timer": 38}', "application/json"),
    "receipt": ("kvittering.pdf", final, "application/pdf"),
    "contract": ("kontrakt.pdf", final, "application/pdf"),
})
if response.status_code != 200:
    raise SystemExit(f"unexpected response: {response.text}")
instance = apps.Instance.from_dict(response.json())
print("changes:", len(instance.data), instance.workflow.current_step)

# The application owner finds the instance by its step and by its label.
by_step = expect(storage.InstancePage, query_instances.sync(client=owner, app_id=[f"{ORG}/{APP}"], workflow_current_step="Submit"))
print("query by step:", *(found.id for found in by_step.field_embedded.instances))

by_label = expect(storage.InstancePage, query_instances.sync(client=owner, app_id=[f"{ORG}/{APP}"], label=["gr"]))
print("query by label:", *(found.id for found in by_label.field_embedded.instances))

# The application owner downloads the attachment and confirms the download.
content = expect(altinn_storage.types.File, download_data.sync(party, guid, attachment, client=owner)).payload.read()
pathlib.Path(os.environ["SAVE_AS"]).write_bytes(content)
print("download:", len(content))

confirmed = expect(storage.Instance, confirm_download.sync(party, guid, attachment, client=owner))
downloads = expect(storage.OwnerDownloads, confirmed.data[1].application_owner)
print("confirm:", len(expect(list, downloads.download_confirmed)))

# The application owner downloads the rest and confirms all of the instance, with other instances if
# there are any, in one request.
for element in instance.data:
    if element.id != attachment:
        expect(altinn_storage.types.File, download_data.sync(party, guid, element.id, client=owner))
many = expect(storage.ConfirmResults, confirm_many_downloads.sync(client=owner, body=storage.ConfirmDownloads(
    instances=[storage.ConfirmItem(instance_owner_id=party, id=guid)])))
for result in many.results:
    print("confirm many:", result.id, result.status)

# The application owner sets a substatus and clears it. The user marks the instance as read.
instance = expect(apps.Instance, set_substatus.sync(ORG, APP, party, guid, client=changer, body=apps.SubstatusInput(
    "Under behandling", description="Saken er fordelt.")))
label = expect(apps.Substatus, instance.status.substatus).label
instance = expect(apps.Instance, clear_substatus.sync(ORG, APP, party, guid, client=changer))
print("substatus:", label, "true" if instance.status.substatus else "false")

read = expect(apps.Instance, set_read_status.sync(ORG, APP, party, guid, client=user, body=apps.ReadStatusInput(
    apps.ReadStatusInputReadStatus.READ)))
print("read status:", instance.status.read_status, read.status.read_status)

# The application owner sets a date and clears it: an empty text is null.
set_dates = []
for due in ("2099-12-31T23:00:00Z", ""):
    instance = expect(apps.Instance, update_instance.sync(ORG, APP, party, guid, client=changer, body=apps.InstancePatch(due_date_time=due)))
    set_dates.append("true" if instance.due_date_time else "false")
print("set and clear a date:", *set_dates)

# The event of the submission reaches the feed after about a second. The request waits for it. Later
# versions can add types of events.
for event in expect(list, get_events.sync(ORG, APP, client=owner, workflow_current_step="Submit", prefer="wait=20")):
    if event.event_type == "WorkflowStateChange":
        print("events:", event.instance_link)
