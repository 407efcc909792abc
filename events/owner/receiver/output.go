package main

import (
	"encoding/json"
	"fmt"
	"io"

	"altinn.no/instanceapi/events/owner/receiver/receive"
)

// output writes the command's standard output: JSON lines, or the folders of confirmed submissions.
type output struct {
	to   io.Writer
	json bool
}

func (o *output) submission(s receive.Submission) {
	if o.json {
		o.line(struct {
			Type string `json:"type"`
			receive.Submission
		}{"submission", s})
		return
	}
	if s.State == receive.Confirmed {
		fmt.Fprintln(o.to, s.Folder)
	}
}

func (o *output) summary(s receive.Summary) {
	if o.json {
		o.line(struct {
			Type string `json:"type"`
			receive.Summary
		}{"summary", s})
	}
}

func (o *output) line(document any) {
	_ = json.NewEncoder(o.to).Encode(document) // fails only if the reader has closed its end
}
