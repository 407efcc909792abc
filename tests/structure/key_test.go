package structure

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// The key of KmsKeyArn encrypts everything that can have a key, and every function may use it.
// Without the parameter AWS's own keys encrypt it.
func TestKMSKey(t *testing.T) { report(t, checkKMSKey(readTemplate(t))) }

func checkKMSKey(tpl *template) (found []string) {
	const own = "arn:aws:kms:eu-north-1:111122223333:key/0f6a1d3c-0000-4000-8000-000000000000"
	for _, values := range [][2]string{{"", "off"}, {own, "off"}, {"", "guardduty"}, {own, "guardduty"}} {
		key, scan := values[0], values[1]
		add := func(format string, arguments ...any) {
			found = append(found, fmt.Sprintf(format, arguments...)+fmt.Sprintf(" (KmsKeyArn is %q, MalwareScan is %s)", key, scan))
		}
		d := deployment{tpl, map[string]string{"KmsKeyArn": key, "MalwareScan": scan}}
		for _, kind := range []struct{ name, property string }{
			{"AWS::SQS::Queue", "KmsMasterKeyId"}, {"AWS::Logs::LogGroup", "KmsKeyId"},
		} {
			for _, r := range tpl.ofType(kind.name) {
				if got := text(d.property(r, kind.property)); got != key {
					add("%s has the key %q", r.Name, got)
				}
			}
		}
		for _, r := range tpl.ofType("AWS::SQS::Queue") {
			if managed := d.property(r, "SqsManagedSseEnabled") == true; managed == (key != "") {
				add("%s: SqsManagedSseEnabled is %v", r.Name, managed)
			}
		}
		for _, r := range tpl.ofType("AWS::DynamoDB::Table") {
			if got := text(d.property(r, "SSESpecification", "KMSMasterKeyId")); got != key {
				add("%s has the key %q", r.Name, got)
			}
		}
		for _, r := range tpl.ofType("AWS::S3::Bucket") {
			rules := list(d.property(r, "BucketEncryption", "ServerSideEncryptionConfiguration"))
			if len(rules) != 1 || text(at(rules[0], "ServerSideEncryptionByDefault", "KMSMasterKeyID")) != key ||
				(at(rules[0], "BucketKeyEnabled") == true) != (key != "") {
				add("%s is encrypted by %v", r.Name, rules)
			}
		}
		var roles []string
		for _, f := range tpl.functions() {
			if d.creates(f.resource) {
				roles = append(roles, f.Name+"Role")
			}
			arn := d.property(f.resource, "KmsKeyArn")
			if arn == nil {
				arn = at(d.value(tpl.Globals), "Function", "KmsKeyArn")
			}
			if text(arn) != key {
				add("the environment of %s has the key %v", f.Name, arn)
			}
		}
		checkKeyUse(d, key, roles, add)
	}
	return found
}

// checkKeyUse calls add for each mistake in the policy by which the functions may use the key.
func checkKeyUse(d deployment, key string, roles []string, add func(format string, arguments ...any)) {
	use := d.resource("KeyUse")
	if use == nil || d.creates(use) != (key != "") {
		add("KeyUse must be created only with a key")
		return
	}
	var got []string
	for _, role := range list(d.property(use, "Roles")) {
		got = append(got, reference(role))
	}
	slices.Sort(got)
	slices.Sort(roles)
	if !slices.Equal(got, roles) {
		add("KeyUse is for the roles\n  %v, want\n  %v", got, roles)
	}
	want := []any{map[string]any{"Effect": "Allow", "Action": []any{"kms:Decrypt", "kms:GenerateDataKey"}, "Resource": key}}
	if statements := d.property(use, "PolicyDocument", "Statement"); !reflect.DeepEqual(statements, want) {
		add("KeyUse has the statements %v, want %v", statements, want)
	}
}
