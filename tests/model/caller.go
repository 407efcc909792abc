package model

// Authenticate is who sends a request, as the token says.
type Caller struct {
	Name     string // for the log
	NoToken  bool
	Expired  bool
	Org      string   // of an application owner
	Identity Identity // of a user
	Party    string   // of a user whose token says the number
	UserID   string
	Read     bool // has the scope of its kind
	Write    bool
}

// Identity is an official identity. Kind is the member of a reportee that names it.
type Identity struct{ Kind, Value string }

// who says which callers a route is for.
type who int

const (
	owners who = iota
	users
	both // anybody with a token that may do it
)

// door says why a caller does not come in, whatever the object.
func door(c Caller, kind who, write bool) (r Refusals) {
	switch {
	case c.NoToken:
		return Refusals{{401, "token-missing"}}
	case c.Expired:
		return Refusals{{401, "token-expired"}}
	}
	r.add(kind == owners && c.Org == "", 403, "owner-only")
	r.add(kind == users && c.Org != "", 403, "user-only")
	r.add(write && !c.Write || !write && !c.Read, 403, "scope-missing")
	return r
}

// party returns the number of a user's party, "" when it has none yet.
func (w *World) party(c Caller) string {
	if c.Party != "" || c.Org != "" {
		return c.Party
	}
	return w.Parties[c.Identity]
}

// nameOf is what documents call a caller.
func (w *World) nameOf(c Caller) string {
	switch {
	case c.Org != "":
		return c.Org
	case c.UserID != "":
		return c.UserID
	}
	return w.party(c)
}

// mine reports whether an instance is the caller's: of its application, or its party's own.
func (w *World) mine(c Caller, i *Instance) bool {
	if c.Org != "" {
		return i.app.Org == c.Org
	}
	return i.Owner != "" && i.Owner == w.party(c)
}

// open lets a caller in to one instance, or says why not. app is "" on the Storage API.
func (w *World) open(c Caller, kind who, write bool, at Path) (*Instance, Refusals) {
	if r := door(c, kind, write); r != nil {
		return nil, r
	}
	for _, i := range w.Instances {
		if i.ID == at.ID && i.Owner == at.Owner && !i.Gone && (at.App == "" || at.App == i.app.ID) && w.mine(c, i) {
			return i, nil
		}
	}
	return nil, Refusals{{404, "not-found"}}
}

// openElement is open for one data element.
func (w *World) openElement(c Caller, kind who, write bool, at Path) (*Instance, *Element, Refusals) {
	i, r := w.open(c, kind, write, at)
	if r != nil {
		return nil, nil, r
	}
	for _, e := range i.Data {
		if e.ID == at.Data {
			return i, e, nil
		}
	}
	return nil, nil, Refusals{{404, "not-found"}}
}
