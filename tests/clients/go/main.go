// Command client reports as a user, and processes the report as the application owner, with the
// clients that oapi-codegen generates from apps.yaml and storage.yaml.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"strings"

	"altinn.no/instanceapi/tests/clients/go/apps"
	"altinn.no/instanceapi/tests/clients/go/storage"
)

const org = "nav"

var app = os.Getenv("APP")

func main() {
	log.SetFlags(0)
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	user, err := apps.NewClientWithResponses(os.Getenv("APPS_URL"), apps.WithRequestEditorFn(bearer(os.Getenv("USER_TOKEN"))))
	if err != nil {
		return err
	}
	owner, err := storage.NewClientWithResponses(os.Getenv("STORAGE_URL"), storage.WithRequestEditorFn(bearer(os.Getenv("OWNER_TOKEN"))))
	if err != nil {
		return err
	}
	changer, err := apps.NewClientWithResponses(os.Getenv("APPS_URL"), apps.WithRequestEditorFn(bearer(os.Getenv("OWNER_TOKEN"))))
	if err != nil {
		return err
	}

	// The application owner registers an application.
	registered, err := owner.PutApplicationWithResponse(ctx, org, app, nil, storage.ApplicationInput{
		Title: &storage.Title{"nb": "Arbeidsmelding"},
		DataTypes: &[]storage.DataTypeInput{
			{FormId: "form", AllowedContentTypes: &[]string{"application/json"}, MinCount: new(1), MaxCount: new(1)},
			{FormId: "attachment", AllowedContentTypes: &[]string{"application/pdf"}},
		},
	})
	if err != nil {
		return err
	}
	application := cmp.Or(registered.JSON201, registered.JSON200)
	if application == nil {
		return problemOf(registered.Body)
	}
	fmt.Println("register:", application.Id)

	// The user creates an instance with its form, attaches a file and replaces the file.
	created, err := user.CreateInstanceWithResponse(ctx, org, app, nil, apps.InstanceInput{
		Reportee: &apps.Reportee{Ssn: new(os.Getenv("SSN"))},
		Labels:   &apps.Labels{"gr"},
		Data:     &[]apps.DataElementInput{{FormId: "form", ContentType: "application/json", Content: []byte(`{"timer": 37}`)}},
	})
	if err != nil {
		return err
	}
	if created.JSON201 == nil {
		return problemOf(created.Body)
	}
	party, guid := created.JSON201.InstanceOwnerId, created.JSON201.Id
	fmt.Println("create:", guid)

	draft, err := os.Open(os.Getenv("DRAFT"))
	if err != nil {
		return err
	}
	defer draft.Close()
	disposition := `attachment; filename="kvittering.pdf"`
	uploaded, err := user.CreateDataWithBodyWithResponse(ctx, org, app, party, guid,
		&apps.CreateDataParams{FormId: "attachment", ContentDisposition: &disposition}, "application/pdf", draft)
	if err != nil {
		return err
	}
	if uploaded.JSON201 == nil {
		return problemOf(uploaded.Body)
	}
	attachment := uploaded.JSON201.Data[1].Id
	fmt.Println("upload:", attachment)

	final, err := os.ReadFile(os.Getenv("FINAL"))
	if err != nil {
		return err
	}
	replaced, err := user.ReplaceDataWithBodyWithResponse(ctx, org, app, party, guid, attachment, nil, "application/pdf", bytes.NewReader(final))
	if err != nil {
		return err
	}
	if replaced.JSON200 == nil {
		return problemOf(replaced.Body)
	}
	fmt.Println("replace:", replaced.JSON200.Data[1].FileSize)

	// The user submits the instance. Its data is then locked.
	submitted, err := user.ChangeWorkflowWithResponse(ctx, org, app, party, guid, nil, apps.NextStep{CurrentStep: "Submit"})
	if err != nil {
		return err
	}
	if submitted.JSON200 == nil {
		return problemOf(submitted.Body)
	}
	fmt.Println("submit:", submitted.JSON200.Workflow.CurrentStep)

	rejected, err := user.ReplaceDataWithBodyWithResponse(ctx, org, app, party, guid, attachment, nil, "application/pdf", bytes.NewReader(final))
	if err != nil {
		return err
	}
	var locked *problem
	if !errors.As(problemOf(rejected.Body), &locked) {
		return fmt.Errorf("the data is not locked: %s", rejected.Status())
	}
	fmt.Println("problem:", locked.Status, locked.Code)

	// The application owner sends the instance back with a reason.
	sentBack, err := changer.ChangeWorkflowWithResponse(ctx, org, app, party, guid, nil,
		apps.NextStep{CurrentStep: "FormFilling", Reason: new("Kvitteringen mangler.")})
	if err != nil {
		return err
	}
	if sentBack.JSON200 == nil {
		return problemOf(sentBack.Body)
	}
	fmt.Println("send back:", *sentBack.JSON200.Workflow.Reason)

	// The user replaces the form, adds two attachments and submits again, in one request.
	body, contentType, err := changesForm(apps.Changes{
		Data: &[]apps.DataOperation{
			{Op: apps.Replace, Id: &created.JSON201.Data[0].Id, Part: new("form")},
			{Op: apps.Add, FormId: new("attachment"), Part: new("receipt")},
			{Op: apps.Add, FormId: new("attachment"), Part: new("contract")},
		},
		Workflow: &apps.NextStep{CurrentStep: "Submit"},
	},
		part{name: "form", contentType: "application/json", content: []byte(`{"timer": 38}`)},
		part{name: "receipt", fileName: "kvittering.pdf", contentType: "application/pdf", content: final},
		part{name: "contract", fileName: "kontrakt.pdf", contentType: "application/pdf", content: final})
	if err != nil {
		return err
	}
	changed, err := user.ApplyChangesWithBodyWithResponse(ctx, org, app, party, guid, nil, contentType, body)
	if err != nil {
		return err
	}
	if changed.JSON200 == nil {
		return problemOf(changed.Body)
	}
	fmt.Println("changes:", len(changed.JSON200.Data), changed.JSON200.Workflow.CurrentStep)

	// The application owner finds the instance by its step and by its label.
	appIDs := []string{org + "/" + app}
	byStep, err := owner.QueryInstancesWithResponse(ctx, &storage.QueryInstancesParams{AppId: &appIDs, WorkflowCurrentStep: new("Submit")})
	if err != nil {
		return err
	}
	if byStep.JSON200 == nil {
		return problemOf(byStep.Body)
	}
	fmt.Println("query by step:", ids(byStep.JSON200))

	byLabel, err := owner.QueryInstancesWithResponse(ctx, &storage.QueryInstancesParams{AppId: &appIDs, Label: &[]string{"gr"}})
	if err != nil {
		return err
	}
	if byLabel.JSON200 == nil {
		return problemOf(byLabel.Body)
	}
	fmt.Println("query by label:", ids(byLabel.JSON200))

	// The application owner downloads the attachment and confirms the download.
	downloaded, err := owner.DownloadDataWithResponse(ctx, party, guid, attachment, nil)
	if err != nil {
		return err
	}
	if downloaded.StatusCode() != http.StatusOK {
		return problemOf(downloaded.Body)
	}
	if err := os.WriteFile(os.Getenv("SAVE_AS"), downloaded.Body, 0o600); err != nil {
		return err
	}
	fmt.Println("download:", len(downloaded.Body))

	confirmed, err := owner.ConfirmDownloadWithResponse(ctx, party, guid, attachment, nil)
	if err != nil {
		return err
	}
	if confirmed.JSON200 == nil {
		return problemOf(confirmed.Body)
	}
	fmt.Println("confirm:", len(*confirmed.JSON200.Data[1].ApplicationOwner.DownloadConfirmed))

	// The application owner downloads the rest and confirms all of the instance, with other
	// instances if there are any, in one request.
	for _, element := range changed.JSON200.Data {
		if element.Id != attachment {
			if rest, err := owner.DownloadDataWithResponse(ctx, party, guid, element.Id, nil); err != nil {
				return err
			} else if rest.StatusCode() != http.StatusOK {
				return problemOf(rest.Body)
			}
		}
	}
	many, err := owner.ConfirmManyDownloadsWithResponse(ctx, storage.ConfirmDownloads{
		Instances: []storage.ConfirmItem{{InstanceOwnerId: party, Id: guid}},
	})
	if err != nil {
		return err
	}
	if many.JSON200 == nil {
		return problemOf(many.Body)
	}
	for _, result := range many.JSON200.Results {
		fmt.Println("confirm many:", result.Id, result.Status)
	}

	// The application owner sets a substatus and clears it. The user marks the instance as read.
	substatus, err := changer.SetSubstatusWithResponse(ctx, org, app, party, guid, nil,
		apps.SubstatusInput{Label: "Under behandling", Description: new("Saken er fordelt.")})
	if err != nil {
		return err
	}
	if substatus.JSON200 == nil {
		return problemOf(substatus.Body)
	}
	cleared, err := changer.ClearSubstatusWithResponse(ctx, org, app, party, guid, nil)
	if err != nil {
		return err
	}
	if cleared.JSON200 == nil {
		return problemOf(cleared.Body)
	}
	fmt.Println("substatus:", substatus.JSON200.Status.Substatus.Label, cleared.JSON200.Status.Substatus != nil)

	read, err := user.SetReadStatusWithResponse(ctx, org, app, party, guid, nil, apps.ReadStatusInput{ReadStatus: apps.Read})
	if err != nil {
		return err
	}
	if read.JSON200 == nil {
		return problemOf(read.Body)
	}
	fmt.Println("read status:", *cleared.JSON200.Status.ReadStatus, *read.JSON200.Status.ReadStatus)

	// The application owner sets a date and clears it: an empty text is null.
	fmt.Print("set and clear a date:")
	for _, due := range []apps.OptionalTime{"2099-12-31T23:00:00Z", ""} {
		updated, err := changer.UpdateInstanceWithResponse(ctx, org, app, party, guid, nil, apps.InstancePatch{DueDateTime: &due})
		if err != nil {
			return err
		}
		if updated.JSON200 == nil {
			return problemOf(updated.Body)
		}
		fmt.Print(" ", updated.JSON200.DueDateTime != nil)
	}
	fmt.Println()

	// The event of the submission reaches the feed after about a second. The request waits for it.
	// Later versions can add types of events.
	events, err := owner.GetEventsWithResponse(ctx, org, app, &storage.GetEventsParams{WorkflowCurrentStep: new("Submit"), Prefer: new("wait=20")})
	if err != nil {
		return err
	}
	if events.JSON200 == nil {
		return problemOf(events.Body)
	}
	for _, event := range *events.JSON200 {
		if event.EventType == "WorkflowStateChange" {
			fmt.Println("events:", event.InstanceLink)
		}
	}
	return nil
}

// part is a part of a form: the content of a data element.
type part struct {
	name, fileName, contentType string
	content                     []byte
}

// changesForm returns the form that applies changes with the content in parts, and its content
// type. The generated client has no form, because the caller chooses the names of the parts.
func changesForm(changes apps.Changes, parts ...part) (io.Reader, string, error) {
	document, err := json.Marshal(changes)
	if err != nil {
		return nil, "", err
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, p := range append([]part{{name: "changes", contentType: "application/json", content: document}}, parts...) {
		w, err := form.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {multipart.FileContentDisposition(p.name, p.fileName)}, "Content-Type": {p.contentType},
		})
		if err != nil {
			return nil, "", err
		}
		if _, err := w.Write(p.content); err != nil {
			return nil, "", err
		}
	}
	return &body, form.FormDataContentType(), form.Close()
}

// bearer returns a function that adds an access token to a request.
func bearer(token string) func(context.Context, *http.Request) error {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// A problem is the body of every response without the requested result. The generated responses
// have a field for each status; the body has the problem of any status.
type problem apps.Problem

func (p *problem) Error() string { return p.Code + ": " + p.Detail }

// problemOf returns the problem that a response describes.
func problemOf(body []byte) error {
	var p problem
	if err := json.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	return &p
}

func ids(page *storage.InstancePage) string {
	var found []string
	for _, instance := range page.UnderscoreEmbedded.Instances {
		found = append(found, instance.Id)
	}
	return strings.Join(found, " ")
}
