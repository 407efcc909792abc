// Command blob-sweep runs every five minutes. It deletes orphans, which are revisions of content
// that no document refers to, and permanently deleted instances. It reads and writes Instances and
// deletes from the bucket.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"altinn.no/instanceapi/shared/blob/blobbucket"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/instance/instancetable"
)

func main() {
	env := coldstart.Load()
	h := handler(instancetable.Open(env), blobbucket.Open(env))
	env.Ready()
	lambda.Start(h)
}
