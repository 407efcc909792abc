package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.IdempotentStore, view instancehttp.View, malware instancehttp.MalwareScan) http.Handler {
	batch := &batch{authorizer, applications, instances, view, malware}
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.PathValue("instanceGuid") == "" {
			return batch.confirm(w, r)
		}
		access, err := authorizer.WriteAsOwner(r)
		if err != nil {
			return err
		}
		return access.ServeUpdate(w, r, instances, applications, view, confirmation(access, view, malware))
	})
}

// confirmation returns the change that confirms the data element or the instance of access.
func confirmation(access *instancehttp.Access, view instancehttp.View, malware instancehttp.MalwareScan) instancehttp.AppChange {
	return func(i *instance.Instance, app *application.Application) ([]event.Event, error) {
		now, all := time.Now(), access.DataGuid == ""
		var err error
		if all {
			err = i.ConfirmAll(now, malware.Blocks)
		} else {
			err = i.ConfirmDownload(access.DataGuid, now)
		}
		if err != nil {
			return nil, err
		}
		return i.ConfirmedEvent(app, access.DataGuid, access.ActorName(), now, view.Links(i)), nil
	}
}
