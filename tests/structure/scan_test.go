package structure

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// scanResults are the results of GuardDuty, each with the status of its scan. GuardDuty writes the
// result into the tag scanTag of the object.
var scanResults = map[string]string{
	"NO_THREATS_FOUND": "COMPLETED", "THREATS_FOUND": "COMPLETED",
	"UNSUPPORTED": "SKIPPED", "ACCESS_DENIED": "FAILED", "FAILED": "FAILED",
}

// scanTag is the tag of GuardDuty, and contentTag that of the functions.
const scanTag, contentTag = "GuardDutyMalwareScanStatus", "scan"

// scanModes are the values of MalwareScan.
var scanModes = []string{"off", "observe", "guardduty"}

// scanReaders are the functions that return content, and scanWriters those that store content or
// sign the request that stores it. Both, and the others here, know whether the stack scans.
var (
	scanReaders = []string{"DataDownload", "DataGet"}
	scanWriters = []string{"ChangesApply", "DataCreate", "DataReplace", "InstanceCreate", "InstancesCreate", "UploadCreate"}
	scanOthers  = []string{"AgendaRun", "DownloadConfirm", "InstanceValidate", "WorkflowChange"}
)

// The functions that treat content by its scan know whether the stack scans. Those that store
// content are the functions that may put objects, so a new one needs the tags too.
func TestFunctionsKnowTheScan(t *testing.T) {
	var got, puts []string
	for _, f := range readTemplate(t).functions() {
		if f.Environment["MALWARE_SCAN"] == "MalwareScan" {
			got = append(got, f.Name)
		}
		if slices.ContainsFunc(f.Statements, func(s statement) bool { return slices.Contains(s.Actions, "s3:PutObject") }) {
			puts = append(puts, f.Name)
		}
	}
	if want := slices.Sorted(slices.Values(slices.Concat(scanReaders, scanWriters, scanOthers))); !slices.Equal(got, want) {
		t.Errorf("MALWARE_SCAN is set for %v, want %v", got, want)
	}
	if !slices.Equal(puts, scanWriters) {
		t.Errorf("%v may put objects, want %v", puts, scanWriters)
	}
}

// A stack with MalwareScan=off has no resource of the scan. The bucket's policy blocks content only
// with guardduty.
func TestScanIsOptional(t *testing.T) {
	tpl := readTemplate(t)
	for _, mode := range append(scanModes, "") {
		d := deployment{tpl, map[string]string{}}
		if mode != "" {
			d.values["MalwareScan"] = mode
		}
		scans := mode != "" && mode != "off"
		found := 0
		for _, r := range tpl.Resources {
			if !strings.HasPrefix(r.Name, "Scan") {
				continue
			}
			found++
			if d.creates(r) != scans {
				t.Errorf("MalwareScan=%s: %s is created: %v", mode, r.Name, !scans)
			}
		}
		if found < 14 {
			t.Errorf("found only %d resources of the scan", found)
		}
		if enabled := d.property(tpl.resource("Blobs"), "NotificationConfiguration", "EventBridgeConfiguration", "EventBridgeEnabled"); (enabled == true) != scans {
			t.Errorf("MalwareScan=%s: the bucket sends events to EventBridge: %v", mode, enabled)
		}
		var sids []string
		for _, s := range list(d.property(tpl.resource("BlobsPolicy"), "PolicyDocument", "Statement")) {
			sids = append(sids, text(object(s)["Sid"]))
		}
		want := []string{"TlsOnly", "FreshSignaturesOnly"}
		if scans {
			want = append(want, "ScanResultsOfGuardDutyOnly")
		}
		if mode == "guardduty" {
			want = append(want, "ScannedContentOnly", "UnscannableContentOnlyIfAllowed")
		}
		if !slices.Equal(sids, want) {
			t.Errorf("MalwareScan=%s: the bucket's policy has the statements %v, want %v", mode, sids, want)
		}
	}
}

// GuardDuty scans the bucket and tags its objects, under a role that only GuardDuty assumes.
func TestScanPlan(t *testing.T) {
	tpl := readTemplate(t)
	d := deployment{tpl, map[string]string{"MalwareScan": "observe"}}
	plan := tpl.resource("ScanPlan")
	if bucket := reference(d.property(plan, "ProtectedResource", "S3Bucket", "BucketName")); bucket != "Blobs" {
		t.Errorf("the plan is for %q", bucket)
	}
	if d.property(plan, "Actions", "Tagging", "Status") != "ENABLED" || reference(d.property(plan, "Role")) != "ScanRole.Arn" {
		t.Errorf("the plan adds no tags, or has another role: %v", plan.Properties)
	}
	for _, key := range []string{"", "arn:aws:kms:eu-north-1:111122223333:key/0f6a1d3c-0000-4000-8000-000000000000"} {
		d.values["KmsKeyArn"] = key
		role := tpl.resource("ScanRole")
		trusted := list(d.property(role, "AssumeRolePolicyDocument", "Statement"))
		if len(trusted) != 1 || !reflect.DeepEqual(at(trusted[0], "Principal"), map[string]any{"Service": "malware-protection-plan.guardduty.amazonaws.com"}) {
			t.Errorf("ScanRole trusts %v", trusted)
		}
		got := map[string]bool{}
		for _, s := range list(at(list(d.property(role, "Policies"))[0], "PolicyDocument", "Statement")) {
			for _, action := range list(object(s)["Action"]) {
				got[text(action)+" on "+reference(object(s)["Resource"])] = true
			}
		}
		const content, rule = "Blobs.Arn/*", "arn:AWS::Partition:events:AWS::Region:AWS::AccountId:rule/DO-NOT-DELETE-AmazonGuardDutyMalwareProtectionS3*"
		want := map[string]bool{
			"events:PutRule on " + rule: true, "events:DeleteRule on " + rule: true, "events:PutTargets on " + rule: true, "events:RemoveTargets on " + rule: true,
			"events:DescribeRule on " + rule: true, "events:ListTargetsByRule on " + rule: true,
			"s3:GetObject on " + content: true, "s3:GetObjectVersion on " + content: true,
			"s3:GetObjectTagging on " + content: true, "s3:GetObjectVersionTagging on " + content: true,
			"s3:PutObjectTagging on " + content: true, "s3:PutObjectVersionTagging on " + content: true,
			"s3:ListBucket on Blobs.Arn": true, "s3:GetBucketNotification on Blobs.Arn": true, "s3:PutBucketNotification on Blobs.Arn": true,
			"s3:PutObject on Blobs.Arn/malware-protection-resource-validation-object": true,
		}
		if key != "" {
			want["kms:Decrypt on "+key], want["kms:GenerateDataKey on "+key] = true, true
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("with the key %q ScanRole may\n  %v, want\n  %v", key, got, want)
		}
	}
}

// The results of GuardDuty for the bucket are sent to the queue of scan-record.
func TestScanQueue(t *testing.T) {
	tpl := readTemplate(t)
	queue, rule := tpl.resource("ScanQueue").Properties, tpl.resource("ScanRule").Properties
	wantPattern := map[string]any{
		"source": []any{"aws.guardduty"}, "detail-type": []any{"GuardDuty Malware Protection Object Scan Result", "GuardDuty Malware Protection Post Scan Action Failed"},
		"detail": map[string]any{"s3ObjectDetails": map[string]any{"bucketName": []any{map[string]any{"Ref": "Blobs"}}}},
	}
	if rule["EventBusName"] != nil || !reflect.DeepEqual(rule["EventPattern"], any(wantPattern)) {
		t.Errorf("ScanRule matches %v of the bus %v", rule["EventPattern"], rule["EventBusName"])
	}
	target := list(rule["Targets"])[0]
	if reference(at(target, "Arn")) != "ScanQueue.Arn" {
		t.Errorf("the target of ScanRule is %v", target)
	}
	for _, source := range []any{at(queue, "RedrivePolicy", "deadLetterTargetArn"), at(target, "DeadLetterConfig", "Arn")} {
		if reference(source) != "ScanDeadLetters.Arn" {
			t.Errorf("failed messages are sent to %v, want ScanDeadLetters.Arn", source)
		}
	}
	reader := tpl.resource(mapped(mappings(tpl)["ScanQueue.Arn"]))
	visibility, _ := queue["VisibilityTimeout"].(int)
	if timeout, ok := reader.Properties["Timeout"].(int); !ok || reader.Name != "ScanRecord" || visibility != 6*timeout {
		t.Errorf("the visibility timeout is %d s, want six times the timeout of %s, %v s", visibility, reader.Name, reader.Properties["Timeout"])
	}
	policy := tpl.resource("ScanQueuesPolicy").Properties
	statements := list(at(policy, "PolicyDocument", "Statement"))
	if len(statements) != 1 || len(list(policy["Queues"])) != 2 || at(statements[0], "Principal", "Service") != "events.amazonaws.com" ||
		reference(at(statements[0], "Condition", "ArnEquals", "aws:SourceArn")) != "ScanRule.Arn" {
		t.Errorf("the queues accept messages by %v, want EventBridge and ScanRule only", statements)
	}
}

// s3Request is a request to S3 as policies see it.
type s3Request struct {
	role, action string
	object       map[string]string // tags of the stored object
	sent         []string          // keys of the tags in the request
}

// denied reports whether one of the statements denies a request. It returns an error for a
// condition that it does not know. It evaluates conditions as IAM does: a negated operator is true
// for a missing key, another one is false.
func (r s3Request) denied(statements []any) (bool, error) {
	for _, s := range statements {
		s := object(s)
		if s["Effect"] != "Deny" || !slices.Contains(list(s["Action"]), any(r.action)) {
			continue
		}
		matches := true
		for operator, keys := range object(s["Condition"]) {
			for key, values := range object(keys) {
				holds, err := r.holds(operator, key, list(values))
				if err != nil {
					return false, err
				}
				matches = matches && holds
			}
		}
		if matches {
			return true, nil
		}
	}
	return false, nil
}

// holds reports whether one condition is true for the request.
func (r s3Request) holds(operator, key string, values []any) (bool, error) {
	var allowed []string
	for _, v := range values {
		allowed = append(allowed, reference(v))
	}
	tag, isTag := strings.CutPrefix(key, "s3:ExistingObjectTag/")
	value, exists := r.object[tag]
	switch {
	case operator == "ArnEquals" && key == "aws:PrincipalArn":
		return slices.Contains(allowed, r.role+".Arn"), nil
	case operator == "ArnNotEquals" && key == "aws:PrincipalArn":
		return !slices.Contains(allowed, r.role+".Arn"), nil
	case operator == "StringEquals" && isTag:
		return exists && slices.Contains(allowed, value), nil
	case operator == "StringNotEquals" && isTag:
		return !slices.Contains(allowed, value), nil
	case operator == "Null" && isTag && len(values) == 1:
		return exists != (values[0] == true), nil
	case operator == "ForAnyValue:StringEquals" && key == "s3:RequestObjectTagKeys":
		return slices.ContainsFunc(r.sent, func(sent string) bool { return slices.Contains(allowed, sent) }), nil
	case operator == "ForAnyValue:StringNotEquals" && key == "s3:RequestObjectTagKeys":
		return slices.ContainsFunc(r.sent, func(sent string) bool { return !slices.Contains(allowed, sent) }), nil
	}
	return false, fmt.Errorf("unknown condition %s of %s", operator, key)
}

// With guardduty the bucket returns content to the functions that return content only if it is
// clean, if it is not scanned, or if it cannot be scanned and its type allows that.
func TestBucketReturnsOnlyScannedContent(t *testing.T) {
	tpl := readTemplate(t)
	d := deployment{tpl, map[string]string{"MalwareScan": "guardduty"}}
	statements := slices.DeleteFunc(list(d.property(tpl.resource("BlobsPolicy"), "PolicyDocument", "Statement")), func(s any) bool {
		return !slices.Contains(list(object(s)["Action"]), any("s3:GetObject"))
	})
	for _, s := range statements {
		if object(s)["Principal"] != "*" || reference(object(s)["Resource"]) != "Blobs.Arn/*" {
			t.Errorf("the statement is for %v on %v", object(s)["Principal"], object(s)["Resource"])
		}
	}
	for _, role := range []string{"DataGetRole", "DataDownloadRole", "InstanceValidateRole", "WorkflowChangeRole", "ScanRole"} {
		reads := slices.Contains(scanReaders, strings.TrimSuffix(role, "Role"))
		for result := range scanResults {
			for tag, want := range map[string]bool{ // whether the content is returned
				"":        result == "NO_THREATS_FOUND",
				"lenient": result == "NO_THREATS_FOUND" || result == "UNSUPPORTED",
				"off":     true,
				"other":   result == "NO_THREATS_FOUND",
			} {
				tags := map[string]string{scanTag: result}
				if tag != "" {
					tags[contentTag] = tag
				}
				for _, scanned := range []bool{true, false} {
					if !scanned {
						delete(tags, scanTag)
						want = tag == "off"
					}
					got, err := s3Request{role: role, action: "s3:GetObject", object: tags}.denied(statements)
					if err != nil || got == (want || !reads) {
						t.Errorf("%s reads an object with the tags %v: denied %v, %v", role, tags, got, err)
					}
				}
			}
		}
	}
}

// The functions that store content may add the tag scan to it, and neither another tag nor a tag of
// scanned content. Only GuardDuty writes the result of a scan.
func TestOnlyGuardDutyWritesScanResults(t *testing.T) {
	tpl := readTemplate(t)
	d := deployment{tpl, map[string]string{"MalwareScan": "observe"}}
	tags := tpl.resource("ScanTags")
	var roles, want []string
	for _, role := range list(d.property(tags, "Roles")) {
		roles = append(roles, reference(role))
	}
	for _, name := range scanWriters {
		want = append(want, name+"Role")
	}
	if !slices.Equal(roles, want) {
		t.Errorf("ScanTags is for the roles %v, want %v", roles, want)
	}
	own := list(d.property(tags, "PolicyDocument", "Statement"))
	allowed := map[string]any{"Effect": "Allow", "Action": []any{"s3:PutObjectTagging"}, "Resource": map[string]any{"Fn::Sub": "${Blobs.Arn}/*"}}
	if !reflect.DeepEqual(own[0], any(allowed)) {
		t.Errorf("ScanTags allows %v, want %v", own[0], allowed)
	}
	bucket := slices.DeleteFunc(list(d.property(tpl.resource("BlobsPolicy"), "PolicyDocument", "Statement")), func(s any) bool {
		return text(object(s)["Sid"]) != "ScanResultsOfGuardDutyOnly"
	})
	scanned := map[string]string{scanTag: "THREATS_FOUND"}
	for _, test := range []struct {
		request s3Request
		denied  bool
	}{
		{s3Request{action: "s3:PutObject"}, false},
		{s3Request{action: "s3:PutObject", sent: []string{contentTag}}, false},
		{s3Request{action: "s3:PutObjectTagging", sent: []string{contentTag}}, false},
		{s3Request{action: "s3:PutObject", sent: []string{contentTag, "other"}}, true},
		{s3Request{action: "s3:PutObjectTagging", sent: []string{"other"}}, true},
		{s3Request{action: "s3:PutObject", sent: []string{scanTag}}, true},
		{s3Request{action: "s3:PutObjectTagging", sent: []string{contentTag, scanTag}}, true},
		{s3Request{action: "s3:PutObjectTagging", sent: []string{contentTag}, object: scanned}, true},
	} {
		test.request.role = "UploadCreateRole"
		if got, err := test.request.denied(slices.Concat(own, bucket)); err != nil || got != test.denied {
			t.Errorf("a function sends %+v: denied %v, %v", test.request, got, err)
		}
	}
	for role, want := range map[string]bool{"ScanRole": false, "DataGetRole": true, "": true} {
		for _, action := range []string{"s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"} {
			got, err := s3Request{role: role, action: action, sent: []string{scanTag}}.denied(bucket)
			if err != nil || got != want {
				t.Errorf("%q writes the result of a scan with %s: denied %v, %v", role, action, got, err)
			}
		}
	}
}

// A page may send the tag that an announced upload has.
func TestCORSAllowsTheTag(t *testing.T) {
	tpl := readTemplate(t)
	d := deployment{tpl, map[string]string{"AllowedOrigins": "https://example.org"}}
	found := false
	for _, rule := range list(d.property(tpl.resource("Blobs"), "CorsConfiguration", "CorsRules")) {
		if slices.Contains(list(object(rule)["AllowedMethods"]), any("PUT")) {
			found = slices.Contains(list(object(rule)["AllowedHeaders"]), any("x-amz-tagging"))
		}
	}
	if !found {
		t.Error("the bucket's CORS rule of PUT does not allow the header x-amz-tagging")
	}
}
