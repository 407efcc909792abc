"""Does the main job of the API with requests."""

# sample: setup
import os

import requests

apps = os.environ["APPS_URL"]
storage = os.environ["STORAGE_URL"]
app = os.environ["APP"]
user = {"Authorization": "Bearer " + os.environ["USER_TOKEN"]}
owner = {"Authorization": "Bearer " + os.environ["OWNER_TOKEN"]}
# end


def put_application():
    # sample: putApplication
    response = requests.put(f"{storage}/storage/applications/nav/{app}", headers=owner, json={
        "title": {"nb": "Arbeidsmelding"},
        "dataTypes": [
            {"formId": "form", "allowedContentTypes": ["application/json"], "minCount": 1, "maxCount": 1},
            {"formId": "attachment", "allowedContentTypes": ["application/pdf"]},
        ],
    })
    response.raise_for_status()
    # end
    return response.json()


def create_instance():
    # sample: createInstance
    import base64
    import uuid

    form = base64.b64encode(b'{"timer": 37}').decode()
    response = requests.post(f"{apps}/nav/{app}/instances", headers={**user, "Idempotency-Key": str(uuid.uuid4())}, json={
        "reportee": {"ssn": os.environ["SSN"]},
        "labels": ["gr"],
        "data": [{"formId": "form", "contentType": "application/json", "content": form}],
    })
    response.raise_for_status()
    instance = response.json()
    # end
    return instance


def create_data(instance):
    # sample: createData
    with open("kvittering.pdf", "rb") as file:
        response = requests.post(instance["selfLinks"]["apps"] + "/data", params={"formId": "attachment"}, data=file, headers={
            **user,
            "Content-Type": "application/pdf",
            "Content-Disposition": 'attachment; filename="kvittering.pdf"',
        })
    response.raise_for_status()
    instance = response.json()
    # end
    return instance


def change_workflow(instance):
    # sample: changeWorkflow
    response = requests.put(instance["selfLinks"]["apps"] + "/workflow", headers=user, json={"currentStep": "Submit"})
    response.raise_for_status()
    instance = response.json()
    # end
    return instance


def query_instances():
    # sample: queryInstances
    instances = []
    response = requests.get(f"{storage}/storage/instances", headers=owner, params={
        "appId": f"nav/{app}", "workflow.currentStep": "Submit", "label": "gr"})
    while True:
        response.raise_for_status()
        page = response.json()
        instances += page["_embedded"]["instances"]
        if "next" not in page["_links"]:
            break
        response = requests.get(page["_links"]["next"]["href"], headers=owner)
    # end
    return instances


def download_data(element):
    # sample: downloadData
    # requests follows the redirect of large content, without the token.
    response = requests.get(element["dataLinks"]["platform"], headers=owner)
    response.raise_for_status()
    with open("saved.pdf", "wb") as file:
        file.write(response.content)
    # end
    return response.content


def confirm_download(element):
    # sample: confirmDownload
    response = requests.post(element["dataLinks"]["platform"] + "/confirmDownload", headers=owner)
    response.raise_for_status()
    instance = response.json()
    # end
    return instance


def get_events():
    # sample: getEvents
    # The request waits up to 20 seconds for an event.
    response = requests.get(f"{storage}/storage/applications/nav/{app}/events", headers={**owner, "Prefer": "wait=20"},
                            params={"workflow.currentStep": "Submit"}, timeout=30)
    response.raise_for_status()
    for event in response.json():
        print("events:", event["instanceLink"])
    next_url = response.links["next"]["url"]  # the URL of the next request
    # end
    return next_url


if __name__ == "__main__":
    print("register:", put_application()["id"])
    created = create_instance()
    print("create:", created["id"])
    created = create_data(created)
    print("upload:", created["data"][1]["id"])
    print("submit:", change_workflow(created)["workflow"]["currentStep"])
    found = query_instances()
    print("query by step:", found[0]["id"])
    print("query by label:", found[0]["id"])
    attachment = found[0]["data"][1]
    print("download:", len(download_data(attachment)))
    confirmed = confirm_download(attachment)
    print("confirm:", len(confirmed["data"][1]["applicationOwner"]["downloadConfirmed"]))
    get_events()
