package instance

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

func TestRecordDownload(t *testing.T) {
	app := newApplication()
	i := in(t, app, "Archived")
	before := i.Clone()
	for n := range 250 {
		if err := i.RecordDownload("d", noon.Add(time.Duration(n)*time.Second)); err != nil {
			t.Fatal(err)
		}
		if got, want := len(i.Data[0].ApplicationOwner.Downloaded), min(n+1, 10); got != want {
			t.Fatalf("%d entries after %d downloads, want %d", got, n+1, want)
		}
	}
	want := []time.Time{TruncateTime(noon)}
	for n := 241; n < 250; n++ {
		want = append(want, TruncateTime(noon.Add(time.Duration(n)*time.Second)))
	}
	if got := i.Data[0].ApplicationOwner.Downloaded; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	i.Data[0].ApplicationOwner = nil
	if !reflect.DeepEqual(i, before) {
		t.Error("RecordDownload changed more than the recorded downloads")
	}
	if err := i.RecordDownload("none", noon); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// With any number of elements, added and downloaded in any order, the instance stays small enough
// to store. RecordDownload keeps the first and the latest download of each element.
func TestRecordDownloadOfManyElements(t *testing.T) {
	i := in(t, newApplication(), "Archived")
	i.Data = nil
	moment, first, latest := noon, map[string]time.Time{}, map[string]time.Time{}
	download := func(id string) {
		moment = moment.Add(time.Second)
		if err := i.RecordDownload(id, moment); err != nil {
			t.Fatal(err)
		}
		if first[id].IsZero() {
			first[id] = TruncateTime(moment)
		}
		latest[id] = TruncateTime(moment)
	}
	for n := range MaxDataElements {
		i.Data = append(i.Data, DataElement{ID: fmt.Sprint(n)})
		if n < 20 {
			for range 11 {
				download(fmt.Sprint(n))
			}
		}
	}
	for n := range MaxDataElements {
		for range 12 {
			download(fmt.Sprint(n))
		}
	}
	total := 0
	for _, d := range i.Data {
		kept := d.ApplicationOwner.Downloaded
		if total += len(kept); len(kept) != 2 || kept[0] != first[d.ID] || kept[1] != latest[d.ID] {
			t.Errorf("%s: %d recorded downloads, from %v to %v", d.ID, len(kept), kept[0], kept[len(kept)-1])
		}
	}
	if total > maxAllDownloads {
		t.Errorf("%d recorded downloads in total", total)
	}
}

func TestDeleteAndUndelete(t *testing.T) {
	for _, step := range []string{"FormFilling", "Submit", "Archived"} {
		i := in(t, newApplication(), step)
		before := i.Clone()
		if code(i.Undelete(application.Owner, noon)) != "unchanged" || !reflect.DeepEqual(i, before) {
			t.Errorf("%s: Undelete of an instance that is not deleted does not return ErrUnchanged", step)
		}
		want := before.Status
		want.IsSoftDeleted, want.SoftDeletedDateTime = true, truncated(&noon)
		if err := i.Delete(application.Owner, noon); err != nil || !reflect.DeepEqual(i.Status, want) || i.InQueue() != before.InQueue() {
			t.Errorf("%s: %+v, %v", step, i.Status, err)
		}
		if code(i.Delete(application.Owner, noon.Add(time.Hour))) != "unchanged" || !reflect.DeepEqual(i.Status, want) {
			t.Errorf("%s: a second Delete does not return ErrUnchanged, or changes the status", step)
		}
		before.Timeline.Restored = TruncateTime(noon)
		if err := i.Undelete(application.Owner, noon); err != nil || !reflect.DeepEqual(i, before) {
			t.Errorf("%s: Undelete does not restore the instance: %+v, %v", step, i, err)
		}
		i.hardDelete("user", noon)
		if want.IsMarkedForHardDelete = true; !reflect.DeepEqual(i.Status, want) || len(i.Labels) > 0 || i.Labels == nil {
			t.Errorf("%s: %+v", step, i)
		}
	}
}

func TestUpdateMetadata(t *testing.T) {
	due := noon.Add(time.Hour)
	i := in(t, newApplication(), "Submit")
	changed := i.LastChangedDateTime
	d := Metadata{Labels: []string{"gr"}, DueDateTime: &due, PresentationField: "Melding"}
	if err := i.UpdateMetadata(d, noon); err != nil || i.Labels[0] != "gr" || !i.DueDateTime.Equal(TruncateTime(due)) || i.PresentationField != "Melding" {
		t.Errorf("%+v, %v", i, err)
	}
	if !i.LastChangedDateTime.Equal(changed) {
		t.Error("UpdateMetadata changed lastChanged")
	}
	if err := i.UpdateMetadata(d, noon); code(err) != "unchanged" {
		t.Errorf("equal metadata: %v", err)
	}
	before := i.Clone()
	for name, bad := range map[string]Metadata{
		"labels": {Labels: []string{"a", "a"}}, "text": {PresentationField: "a\x00"}, "date": {DueDateTime: &time.Time{}},
	} {
		if err := i.UpdateMetadata(bad, noon); !fault.Is(err, fault.Invalid) || !reflect.DeepEqual(i, before) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := i.UpdateMetadata(Metadata{}, noon); err != nil || i.Labels == nil || len(i.Labels) > 0 || i.DueDateTime != nil {
		t.Errorf("empty metadata: %+v, %v", i, err)
	}
	i.Status.IsSoftDeleted = true
	if err := i.UpdateMetadata(d, noon); code(err) != "instance-deleted" {
		t.Errorf("deleted: %v", err)
	}
}
