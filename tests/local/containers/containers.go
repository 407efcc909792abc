// Package containers provides what functions in containers on this machine need of a running stack, for `sam local`: the
// local AWS at an address that containers reach, the keys of its tokens, and the variables of every function in a file.
//
// The local AWS itself listens on the loopback interface alone. What is opened here is opened on one address, that of
// the bridge between this machine and its containers, and only when it is asked for.
package containers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"altinn.no/instanceapi/tests/local/stack"
	"altinn.no/instanceapi/tests/local/workspace"
)

// SamURL is where `sam local start-api` serves both APIs: what links say.
const SamURL = "http://localhost:3000"

// desktopHost is this machine for containers where the engine runs in a virtual machine. What listens on the loopback
// interface is reached under it.
const desktopHost = "host.docker.internal"

// bridge is the interface that Docker makes on Linux.
const bridge = "docker0"

// Forwarder are what was opened. Close closes them.
type Forwarder struct {
	AWSEndpoint string // of the local AWS, in containers and on this machine

	envFile   string
	listeners []net.Listener
}

// Open opens doors into the stack for containers, on the address given or, for "1", on that of Docker's bridge. The variables
// of all functions are written to EnvFile until Close; links in their answers begin with baseURL.
func Open(root string, s *stack.Stack, address, baseURL string) (_ *Forwarder, err error) {
	if address == "1" {
		if address, err = bridgeAddress(runtime.GOOS); err != nil {
			return nil, err
		}
	}
	d := &Forwarder{AWSEndpoint: s.AWSEndpoint, envFile: EnvFile(root)}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	aws, err := url.Parse(s.AWSEndpoint)
	if err != nil {
		return nil, err
	}
	host := address
	if address == desktopHost {
		address = "127.0.0.1"
		d.AWSEndpoint = "http://" + net.JoinHostPort(host, aws.Port())
	} else {
		authorizer, err := d.listen(address, aws.Port())
		if err != nil {
			return nil, err
		}
		d.AWSEndpoint = "http://" + authorizer.Addr().String()
		go forward(authorizer, aws.Host)
	}
	keys, err := d.listen(address, "0")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(keys.Addr().String())
	go serveFile(keys, s.Authenticator.KeySet())
	return d, d.writeEnvironment(s.Environment, map[string]string{
		"AWS_ENDPOINT_URL": d.AWSEndpoint, "TOKEN_JWKS": "http://" + net.JoinHostPort(host, port) + "/jwks.json",
		"APPS_BASE_URL": baseURL, "PLATFORM_BASE_URL": baseURL,
	})
}

// Close closes the doors and removes the file.
func (d *Forwarder) Close() {
	for _, l := range d.listeners {
		_ = l.Close()
	}
	_ = os.Remove(d.envFile)
}

// EnvFile is the file that samconfig.toml names. It is there as long as doors are open.
func EnvFile(root string) string { return workspace.Local(root, "sam-env.json") }

// bridgeAddress returns this machine's address on the way to its containers.
func bridgeAddress(system string) (string, error) {
	if system != "linux" {
		return desktopHost, nil
	}
	face, err := net.InterfaceByName(bridge)
	if err == nil {
		var addresses []net.Addr
		if addresses, err = face.Addrs(); err == nil {
			for _, a := range addresses {
				if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
					return n.IP.String(), nil
				}
			}
			err = errors.New("it has no address")
		}
	}
	return "", fmt.Errorf("CONTAINERS=1 looks for Docker's interface %s (%w): start Docker, or give the address under which containers reach this machine, as CONTAINERS=172.17.0.1", bridge, err)
}

func (d *Forwarder) listen(address, port string) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, port))
	if err != nil {
		return nil, fmt.Errorf("opening the local AWS for containers: %w", err)
	}
	d.listeners = append(d.listeners, l)
	return l, nil
}

// forward passes every connection on to the address, as it is.
func forward(from net.Listener, to string) {
	for {
		in, err := from.Accept()
		if err != nil { // closed
			return
		}
		go func() {
			defer in.Close()
			out, err := net.DialTimeout("tcp", to, 5*time.Second)
			if err != nil {
				return
			}
			defer out.Close()
			go func() {
				_, _ = io.Copy(out, in)
				_ = out.(*net.TCPConn).CloseWrite() // what is on its way back still comes
			}()
			_, _ = io.Copy(in, out)
		}()
	}
}

// serveFile answers every request with one public file.
func serveFile(on net.Listener, path string) {
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, path)
	})}
	_ = server.Serve(on) // ends when the listener is closed
}

// writeEnvironment writes the file that --env-vars takes: the variables by function. SAM passes on those alone that the template
// declares, and without it a reference to a table is the table's logical id.
func (d *Forwarder) writeEnvironment(functions map[string]map[string]string, instead map[string]string) error {
	all := map[string]map[string]string{}
	for id, variables := range functions {
		all[id] = map[string]string{}
		for name, value := range variables {
			if other, ok := instead[name]; ok {
				value = other
			}
			all[id][name] = value
		}
	}
	content, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(d.envFile), 0o755); err != nil {
		return err
	}
	return os.WriteFile(d.envFile, append(content, '\n'), 0o600) // it holds the identity key
}
