package faults

import "altinn.no/instanceapi/tests/awsproxy"

// Proxy returns a handler for an awsproxy that applies the injector's modes to the calls of a
// deployed binary. name returns the name of a call, or "" if the injector must not count or change
// the call. The modes are Rejected, Lost, CrashBefore and CrashAfter. A closed connection replaces
// the error, so the binary's SDK may retry a call that was Rejected or Lost.
func (in *Injector) Proxy(name func(*awsproxy.Call) string) awsproxy.Handler {
	return func(c *awsproxy.Call, send awsproxy.Send) (*awsproxy.Response, error) {
		operation := name(c)
		if operation == "" {
			return send(c.Body)
		}
		mode := in.next(operation)
		if mode == Rejected || mode == CrashBefore {
			return nil, nil
		}
		response, err := send(c.Body)
		switch mode {
		case CrashAfter:
			in.crash()
			return nil, err
		case Lost:
			return nil, err
		}
		return response, err
	}
}
