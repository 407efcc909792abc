package querycost

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
)

// The organisation of NewOrg: its applications have three steps each.
const (
	bigOrg          = "big"
	orgApps         = 500
	orgInstances    = 3000
	orgPages        = orgInstances / PageSize
	registrationPad = 2000 // bytes of a title, so that registrations have a usual size
)

// NewOrg creates the tables for an organisation with 500 applications on a server, loads them, and
// returns the endpoint over them. The instances changed during a year. If even is set, the
// applications have the same number of instances. Otherwise a few have most of them.
func NewOrg(ctx context.Context, endpoint string, even bool) (*Bench, error) {
	var apps []*application.Application
	for n := range orgApps {
		app := &application.Application{ID: fmt.Sprintf("%s/app-%03d", bigOrg, n), Org: bigOrg, Title: map[string]string{"nb": fmt.Sprintf("%*d", registrationPad, n)}}
		app.SetDefaults()
		apps = append(apps, app)
	}
	v, err := newVolume(orgInstances)
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(9, 0))
	skew := 12.0
	if even {
		skew = 1
	}
	var instances []*instance.Instance
	for n := range orgInstances {
		i := v.instance(n)
		app := apps[int(orgApps*math.Pow(random.Float64(), skew))]
		i.AppID, i.Shard = app.ID, 0
		i.LastChangedDateTime = begin.Add(time.Duration(random.Int64N(300*24*3600*1e6)) * time.Microsecond)
		instances = append(instances, i)
	}
	b, err := newBench(ctx, endpoint, fmt.Sprintf("Org%v", even), apps)
	if err != nil {
		return nil, err
	}
	return b, instancetable.New(b.client, b.instances, "").Import(ctx, instances)
}

// Crawl is the cost of a crawl of an organisation.
type Crawl struct {
	First, Last Page
	Following   []Page // the others
}

// Crawl requests all pages of the organisation of NewOrg. It returns an error if the pages do not
// have all instances.
func (b *Bench) Crawl(ctx context.Context) (c Crawl, err error) {
	found := 0
	for address := fmt.Sprint("/storage/instances?org=", bigOrg, "&size=", PageSize); address != ""; {
		page, next, err := b.get(ctx, address, authtest.Owner(bigOrg))
		if err != nil {
			return c, err
		}
		switch {
		case found == 0:
			c.First = page
		case next == "":
			c.Last = page
		default:
			c.Following = append(c.Following, page)
		}
		found += page.Found
		u, err := url.Parse(next)
		if err != nil {
			return c, err
		}
		if address = ""; next != "" {
			address = u.RequestURI()
		}
	}
	if found != orgInstances || len(c.Following) != orgPages-2 {
		return c, fmt.Errorf("%d instances on %d pages", found, len(c.Following)+2)
	}
	return c, nil
}

// Mean returns the rounded mean of the following pages' costs.
func (c *Crawl) Mean() (mean Page) {
	for _, page := range c.Following {
		mean.Units += page.Units
		mean.Calls += page.Calls
		mean.Rounds += page.Rounds
		mean.Rows += page.Rows
		mean.Empty += page.Empty
		mean.Ranges += page.Ranges
	}
	n := len(c.Following)
	mean.Units /= float64(n)
	for _, number := range []*int{&mean.Calls, &mean.Rounds, &mean.Rows, &mean.Empty, &mean.Ranges} {
		*number = (*number + n/2) / n
	}
	return mean
}
