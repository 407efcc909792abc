package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/validation"
)

// body names the step to move the instance to, and the reason.
type body struct {
	CurrentStep string `json:"currentStep"`
	Reason      string `json:"reason"` // optional, unless the transition requires one
}

// maxBody is the maximum body size, in bytes.
const maxBody = 16 << 10

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.ScheduledStore, data *validation.Checker, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		access, err := authorizer.Write(r)
		if err != nil {
			return err
		}
		i, app, err := access.LoadWithApplication(ctx, instances, applications)
		if err != nil {
			return err
		}
		var b body
		if err := httpapi.DecodeJSON(r, maxBody, &b); err != nil {
			return err
		}
		if b.CurrentStep == "" {
			return fault.New(fault.Invalid, "body-invalid", `Name the step to move the instance to, for example {"currentStep": "Submit"}.`)
		}
		change := &transition{r, access, app, b.CurrentStep, b.Reason, data, view}
		i, err = change.apply(i, instances)
		if err != nil {
			return err
		}
		return view.For(access.Caller).Write(w, r, http.StatusOK, i)
	})
}
