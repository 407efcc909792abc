#!/bin/sh
# Does the main job of the API with curl. APPS_URL and STORAGE_URL are the addresses of the two APIs,
# APP is the name of an application of nav, and the tokens are those of a user and of the owner.
set -e

putApplication() {
  # sample: putApplication
  curl -sf -X PUT "$STORAGE_URL/storage/applications/nav/$APP" \
    -H "Authorization: Bearer $OWNER_TOKEN" -H 'Content-Type: application/json' -d '{
      "title": {"nb": "Arbeidsmelding"},
      "dataTypes": [
        {"formId": "form", "allowedContentTypes": ["application/json"], "minCount": 1, "maxCount": 1},
        {"formId": "attachment", "allowedContentTypes": ["application/pdf"]}]}'
  # end
}

createInstance() {
  # sample: createInstance
  # The content of the form is {"timer": 37} in base64.
  curl -sf -X POST "$APPS_URL/nav/$APP/instances" \
    -H "Authorization: Bearer $USER_TOKEN" -H 'Content-Type: application/json' \
    -H "Idempotency-Key: $(uuidgen)" -d '{
      "reportee": {"ssn": "'"$SSN"'"},
      "labels": ["gr"],
      "data": [{"formId": "form", "contentType": "application/json", "content": "eyJ0aW1lciI6IDM3fQ=="}]}'
  # end
}

createData() {
  # sample: createData
  # INSTANCE_URL is selfLinks.apps of the instance.
  curl -sf -X POST "$INSTANCE_URL/data?formId=attachment" \
    -H "Authorization: Bearer $USER_TOKEN" -H 'Content-Type: application/pdf' \
    -H 'Content-Disposition: attachment; filename="kvittering.pdf"' --data-binary @kvittering.pdf
  # end
}

changeWorkflow() {
  # sample: changeWorkflow
  # INSTANCE_URL is selfLinks.apps of the instance.
  curl -sf -X PUT "$INSTANCE_URL/workflow" \
    -H "Authorization: Bearer $USER_TOKEN" -H 'Content-Type: application/json' \
    -d '{"currentStep": "Submit"}'
  # end
}

queryInstances() {
  # sample: queryInstances
  curl -sf "$STORAGE_URL/storage/instances?appId=nav/$APP&workflow.currentStep=Submit&label=gr" \
    -H "Authorization: Bearer $OWNER_TOKEN"
  # end
}

downloadData() {
  # sample: downloadData
  # DATA_URL is dataLinks.platform of the data element. -L follows the redirect of large content.
  curl -sf -L "$DATA_URL" -H "Authorization: Bearer $OWNER_TOKEN" -o saved.pdf
  # end
}

confirmDownload() {
  # sample: confirmDownload
  # DATA_URL is dataLinks.platform of the data element.
  curl -sf -X POST "$DATA_URL/confirmDownload" -H "Authorization: Bearer $OWNER_TOKEN"
  # end
}

getEvents() {
  # sample: getEvents
  # The request waits up to 20 seconds for an event. The header Link has the URL of the next request.
  curl -sf -i "$STORAGE_URL/storage/applications/nav/$APP/events?workflow.currentStep=Submit" \
    -H "Authorization: Bearer $OWNER_TOKEN" -H 'Prefer: wait=20'
  # end
}

# first and last print the value of a member that is a string, at its first and its last place.
first() { sed -E "s/\"$1\":\"/&\n/" | sed -n '2{s/".*//;p;}'; }
last() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/"; }
# uuidgen is not installed everywhere.
command -v uuidgen >/dev/null || uuidgen() { cat /proc/sys/kernel/random/uuid; }

echo "register: $(putApplication | first id)"
instance=$(createInstance)
echo "create: $(echo "$instance" | first id)"
INSTANCE_URL=$(echo "$instance" | first apps)
instance=$(createData)
DATA_URL=$(echo "$instance" | sed 's/"selfLinks".*"data":/"data":/' | last platform)
echo "upload: ${DATA_URL##*/}"
changeWorkflow >/dev/null
echo "submit: Submit"
found=$(queryInstances | sed 's/.*"instances"://' | first id)
echo "query by step: $found"
echo "query by label: $found"
downloadData
echo "download: $(wc -c <saved.pdf | tr -d ' ')"
confirmDownload >/dev/null
echo "confirm: 1"
echo "events: $(getEvents | tr -d '\r' | sed -n '$p' | first instanceLink)"
