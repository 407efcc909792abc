package opcost

import "context"

// scanned measures the operations that differ in a system that scans content.
func scanned(ctx context.Context) (rows []Row, err error) {
	s, err := open(ctx, map[string]string{"MalwareScan": "guardduty"})
	if err != nil {
		return nil, err
	}
	defer s.close()
	for round := range 2 { // only the second is typical, as in Measure
		rows = nil
		for _, elements := range []int{1, 10} {
			measured, err := (&walk{env: s, app: app, round: round, elements: elements}).all(ctx, underScan(elements))
			if err != nil {
				return nil, err
			}
			rows = append(rows, measured...)
		}
	}
	return rows, nil
}

// underScan returns the operations on an instance with a number of data elements.
func underScan(elements int) []operation {
	record := func(ctx context.Context, w *walk) error {
		if _, err := w.Scan(ctx); err != nil {
			return err
		}
		var err error
		w.i, err = w.stored.Get(ctx, w.i.InstanceOwnerID, w.i.ID)
		return err
	}
	create := func(ctx context.Context, w *walk) error {
		return w.create(ctx, `"labels":["gr","x2"],`, w.elements, [2]string{})
	}
	if elements > 1 {
		return []operation{{"create, ten data elements", &baselineCreate, create}, {"record ten results of one instance together", nil, record}}
	}
	return []operation{
		{"create", &baselineCreate, create},
		{"record a result", nil, record},
		{"replace a data element", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "PUT", path: w.element(0), contentType: "application/xml", body: "<melding>2</melding>", want: 200})
		}},
		{"record the result of the new content", nil, record},
	}
}
