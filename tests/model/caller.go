package model

import (
	"slices"
	"strings"
)

// Caller is the sender of a request, as its token states.
type Caller struct {
	Name       string // for the log
	NoToken    bool
	Expired    bool
	Org        string     // of an application owner
	Identities []Identity // of a user, in the order ssn, organizationNumber, userName
	Party      string     // of a user whose token contains the number and no identity
	UserID     string
	Read       bool // scopes of its kind
	Write      bool
}

// Identity is an official identity. Kind is the member of a reportee that contains it.
type Identity struct{ Kind, Value string }

// callerKind is the kind of callers that a route accepts.
type callerKind int

const (
	owners callerKind = iota
	users
	both // every caller with a scope of its kind
)

// authorize returns the reasons why the token does not give access, independent of the object.
func authorize(c Caller, kind callerKind, write bool) (r Rejections) {
	switch {
	case c.NoToken:
		return Rejections{{401, "token-missing"}}
	case c.Expired:
		return Rejections{{401, "token-expired"}}
	}
	r.add(kind == owners && c.Org == "", 403, "owner-only")
	r.add(kind == users && c.Org != "", 403, "user-only")
	r.add(write && !c.Write || !write && !c.Read, 403, "scope-missing")
	return r
}

// Party is an instance owner. Number is "" until a response has contained it.
type Party struct{ Number string }

// partyOf returns the party of the first identity that has one, or nil.
func (m *Model) partyOf(identities []Identity) *Party {
	for _, id := range identities {
		if p := m.Parties[id]; p != nil {
			return p
		}
	}
	return nil
}

// party returns the number of a user's party, or "" if none is assigned.
func (m *Model) party(c Caller) string {
	if p := m.partyOf(c.Identities); p != nil && c.Org == "" {
		return p.Number
	}
	return c.Party
}

// link gives the identities that have no party the party of the first one that has, or fresh if
// none has one and fresh is not nil. Each request of a user does so, once its token and scope are
// accepted.
func (m *Model) link(identities []Identity, fresh *Party) *Party {
	p := m.partyOf(identities)
	if p == nil {
		p = fresh
	}
	for _, id := range identities {
		if m.Parties[id] == nil && p != nil {
			m.Parties[id] = p
		}
	}
	return p
}

// nameOf returns the name of a caller in documents.
func (m *Model) nameOf(c Caller) string {
	switch {
	case c.Org != "":
		return c.Org
	case c.UserID != "":
		return c.UserID
	}
	return m.party(c)
}

// owns reports whether an instance belongs to the caller: to its application, or to its party.
func (m *Model) owns(c Caller, i *Instance) bool {
	if c.Org != "" {
		return i.app.Org == c.Org
	}
	return i.Owner != "" && i.Owner == m.party(c)
}

// sees reports whether an instance exists for the caller. For users it does not before its
// visibleDateTime.
func (m *Model) sees(c Caller, i *Instance) bool {
	return m.owns(c, i) && (c.Org != "" || !i.hidden(m.Now))
}

// open returns the instance at a path, or the reasons why the caller has no access. at.App is ""
// on the Storage API.
func (m *Model) open(c Caller, kind callerKind, write bool, at Path) (*Instance, Rejections) {
	if r := authorize(c, kind, write); r != nil {
		return nil, r
	}
	m.link(c.Identities, nil)
	for _, i := range m.Instances {
		if i.ID == at.ID && (at.Owner == "" || i.Owner == at.Owner) && !i.Gone && (at.App == "" || at.App == i.app.ID) && m.sees(c, i) {
			return i, nil
		}
	}
	return nil, Rejections{{404, "not-found"}}
}

// openElement is like open, for one data element.
func (m *Model) openElement(c Caller, kind callerKind, write bool, at Path) (*Instance, *Element, Rejections) {
	i, r := m.open(c, kind, write, at)
	if r != nil {
		return nil, nil, r
	}
	for _, e := range i.dataFor(c) {
		if e.ID == at.Data {
			return i, e, nil
		}
	}
	return nil, nil, Rejections{{404, "not-found"}}
}

// LookUp returns the party with an identity, for an owner, or for a user its own. It links nothing.
func (m *Model) LookUp(c Caller, id Identity) (*Party, Rejections) {
	if r := authorize(c, both, false); r != nil {
		return nil, r
	}
	if id.Kind == "userName" { // its case does not count
		id.Value = strings.ToLower(id.Value)
	}
	p := m.Parties[id]
	if c.Org == "" {
		own := m.partyOf(c.Identities)
		if !slices.Contains(c.Identities, id) || p != nil && p != own {
			own = nil
		}
		p = own
	}
	if p == nil {
		return nil, Rejections{{404, "not-found"}}
	}
	return p, nil
}
