package apitest

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// Scanning is the setting of a system that hands out only clean content.
var Scanning = instancehttp.MalwareScan{Scans: true, Blocks: true}

// SetScan sets the scan status of the n-th data element of a stored instance.
func (api *API) SetScan(t *testing.T, i *instance.Instance, n int, status string, allowUnscannable bool) *instance.Instance {
	t.Helper()
	return api.Change(t, i, func(i *instance.Instance) error {
		i.Data[n].Scan, i.Data[n].AllowUnscannable = &instance.Scan{Status: status, At: instance.TruncateTime(time.Now().Add(-time.Hour))}, allowUnscannable
		return nil
	})
}

// ScanEarly lets a scan result of the given status arrive as soon as new content is stored, before
// the handler commits the content.
func (api *API) ScanEarly(t *testing.T, status string) {
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Put" && c.Done {
			_, err := api.Instances.PutScanResult(t.Context(), c.Key.Revision(), instance.ScanResult{Status: status, At: instance.TruncateTime(time.Now())})
			return err
		}
		return nil
	}
}

// CheckNewContent checks requests that store new content, on a system that scans. request creates
// or changes an instance with new content as its data element n, and returns the response. The
// content must be pending, with a note for its overdue scan, unless its result arrives first.
func CheckNewContent(t *testing.T, newAPI func(*testing.T, instancehttp.MalwareScan) *API, n int, request func(*testing.T, *API) *instance.Instance) {
	t.Helper()
	for _, status := range []string{instance.ScanPending, instance.ScanClean, instance.ScanInfected, instance.ScanUnscannable} {
		api := newAPI(t, Scanning)
		if status != instance.ScanPending {
			api.ScanEarly(t, status)
		}
		shown := request(t, api)
		stored := api.Stored(t, shown)
		for _, i := range []*instance.Instance{shown, stored} {
			if i.Data[n].ScanStatus() != status {
				t.Errorf("the scan is %+v, want %s", i.Data[n].Scan, status)
			}
		}
		notes := api.Instances.AllAgendaNotes()
		if len(notes) != 1 || notes[0].InstanceID != stored.ID || notes[0].At.Before(stored.Data[n].CreatedDateTime.Add(instance.ScanPatience-time.Minute)) {
			t.Errorf("%s: the notes are %v", status, notes)
		}
	}
	api := newAPI(t, instancehttp.MalwareScan{})
	api.ScanEarly(t, instance.ScanInfected)
	if stored := api.Stored(t, request(t, api)); stored.Data[n].Scan != nil || len(api.Instances.AllAgendaNotes()) != 0 {
		t.Errorf("without a scan: %+v", stored.Data[n].Scan)
	}
}
