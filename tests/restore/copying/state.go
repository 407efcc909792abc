package copying

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// state is the progress of a copy. It is safe for concurrent use.
type state struct {
	path string

	mu sync.Mutex
	saved
}

// saved is the content of the state file.
type saved struct {
	Kind, From, To string
	Segments       []segmentState
}

type segmentState struct {
	Done   bool
	Next   map[string]keyValue // the last key of the last complete page; nil at the beginning
	Counts Counts
}

// keyValue is the value of a key attribute.
type keyValue struct {
	S, N string `json:",omitempty"`
}

// openState returns the progress in the job's state file, or at the beginning if there is no file.
func openState(job Job) (*state, error) {
	s := &state{path: job.State, saved: saved{job.Kind, job.From, job.To, make([]segmentState, job.Segments)}}
	if job.State == "" {
		return s, nil
	}
	content, err := os.ReadFile(job.State)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	var read saved
	if err := json.Unmarshal(content, &read); err != nil {
		return nil, fmt.Errorf("the state file %s is damaged (%w): delete it to begin again", job.State, err)
	}
	if read.Kind != job.Kind || read.From != job.From || read.To != job.To || len(read.Segments) != job.Segments {
		return nil, fmt.Errorf("the state file %s belongs to a copy of %s to %s in %d segments: use another file", job.State, read.From, read.To, len(read.Segments))
	}
	s.saved = read
	return s, nil
}

// position returns the key after which a segment continues, and whether it is complete.
func (s *state) position(segment int) (start map[string]types.AttributeValue, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, v := range s.Segments[segment].Next {
		if start == nil {
			start = map[string]types.AttributeValue{}
		}
		if v.N != "" {
			start[name] = &types.AttributeValueMemberN{Value: v.N}
		} else {
			start[name] = &types.AttributeValueMemberS{Value: v.S}
		}
	}
	return start, s.Segments[segment].Done
}

// advance records a complete page. A nil key ends the segment.
func (s *state) advance(segment int, next map[string]types.AttributeValue, counts Counts) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := &s.Segments[segment]
	at.Counts.add(counts)
	at.Done = next == nil
	at.Next = nil
	for name, value := range next {
		if at.Next == nil {
			at.Next = map[string]keyValue{}
		}
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			at.Next[name] = keyValue{S: v.Value}
		case *types.AttributeValueMemberN:
			at.Next[name] = keyValue{N: v.Value}
		}
	}
	if s.path == "" {
		return nil
	}
	content, err := json.Marshal(s.saved)
	if err != nil {
		return err
	}
	temporary := s.path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil { // keys contain party numbers
		return err
	}
	return os.Rename(temporary, s.path)
}

func (s *state) counts() (total Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, segment := range s.Segments {
		total.add(segment.Counts)
	}
	return total
}
