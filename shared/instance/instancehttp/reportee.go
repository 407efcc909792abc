package instancehttp

import (
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/party"
)

// Reportee is a party in a request body, identified by exactly one of the members.
type Reportee struct {
	SSN                *string `json:"ssn"`
	OrganizationNumber *string `json:"organizationNumber"`
	UserName           *string `json:"userName"`
}

// Identity returns the canonical identity of the reportee. It returns Invalid, code
// "reportee-invalid", if there is not exactly one or it is malformed, and, if checkDigits is set,
// if its check digits are wrong. The error does not contain the value.
func (r Reportee) Identity(checkDigits bool) (party.Identity, error) {
	var identities []party.Identity
	for kind, value := range map[party.Kind]*string{
		party.SSN: r.SSN, party.OrganizationNumber: r.OrganizationNumber, party.UserName: r.UserName,
	} {
		if value != nil {
			identities = append(identities, party.Identity{Kind: kind, Value: *value}.Canonical())
		}
	}
	if len(identities) != 1 {
		return party.Identity{}, fault.New(fault.Invalid, "reportee-invalid",
			"Identify the reportee with exactly one of ssn, organizationNumber and userName.")
	}
	identity := identities[0]
	if !identity.WellFormed() {
		return identity, fault.New(fault.Invalid, "reportee-invalid",
			"The %s is malformed. An ssn has 11 digits, an organizationNumber 9, a userName 1 to 64 letters, digits and . _ @ -", identity.Kind)
	}
	if checkDigits && !identity.ValidCheckDigits() {
		return identity, fault.New(fault.Invalid, "reportee-invalid", "The check digits of the %s are wrong.", identity.Kind)
	}
	return identity, nil
}
