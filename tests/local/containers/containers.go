// Package containers gives functions in containers on this machine access to a running stack, for
// `sam local`. It serves the local AWS and the token keys at an address that containers reach, and
// writes a file with the variables of every function.
//
// The local AWS itself listens only on the loopback interface. This package opens ports on one
// address, that of the bridge between this machine and its containers, and only on request.
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

// SamURL is the address at which `sam local start-api` serves both APIs, and the base of links.
const SamURL = "http://localhost:3000"

// desktopHost is the name of this machine in containers if the engine runs in a virtual machine.
// It reaches servers on the loopback interface.
const desktopHost = "host.docker.internal"

// bridge is the interface that Docker creates on Linux.
const bridge = "docker0"

// Forwarder holds the open ports.
type Forwarder struct {
	AWSEndpoint string // address of the local AWS, in containers and on this machine

	envFile   string
	listeners []net.Listener
}

// Open opens ports into the stack for containers, on the given address or, for "1", on that of
// Docker's bridge. It writes the variables of all functions to EnvFile until Close; links in
// responses begin with baseURL.
func Open(root string, s *stack.Stack, address, baseURL string) (_ *Forwarder, err error) {
	if address == "1" {
		if address, err = bridgeAddress(runtime.GOOS); err != nil {
			return nil, err
		}
	}
	f := &Forwarder{AWSEndpoint: s.AWSEndpoint, envFile: EnvFile(root)}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	aws, err := url.Parse(s.AWSEndpoint)
	if err != nil {
		return nil, err
	}
	host := address
	if address == desktopHost {
		address = "127.0.0.1"
		f.AWSEndpoint = "http://" + net.JoinHostPort(host, aws.Port())
	} else {
		listener, err := f.listen(address, aws.Port())
		if err != nil {
			return nil, err
		}
		f.AWSEndpoint = "http://" + listener.Addr().String()
		go forward(listener, aws.Host)
	}
	keys, err := f.listen(address, "0")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(keys.Addr().String())
	go serveFile(keys, s.Authenticator.KeySet())
	return f, f.writeEnvironment(s.Environment, map[string]string{
		"AWS_ENDPOINT_URL": f.AWSEndpoint, "TOKEN_JWKS": "http://" + net.JoinHostPort(host, port) + "/jwks.json",
		"APPS_BASE_URL": baseURL, "PLATFORM_BASE_URL": baseURL,
	})
}

// Close closes the ports and removes the file.
func (f *Forwarder) Close() {
	for _, l := range f.listeners {
		_ = l.Close()
	}
	_ = os.Remove(f.envFile)
}

// EnvFile returns the path of the file that samconfig.toml names. The file exists while the ports
// are open.
func EnvFile(root string) string { return workspace.Local(root, "sam-env.json") }

// bridgeAddress returns this machine's address for its containers.
func bridgeAddress(system string) (string, error) {
	if system != "linux" {
		return desktopHost, nil
	}
	device, err := net.InterfaceByName(bridge)
	if err == nil {
		var addresses []net.Addr
		if addresses, err = device.Addrs(); err == nil {
			for _, a := range addresses {
				if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
					return n.IP.String(), nil
				}
			}
			err = errors.New("the interface has no address")
		}
	}
	return "", fmt.Errorf("CONTAINERS=1 needs Docker's interface %s (%w): start Docker, or set the address at which containers reach this machine, for example CONTAINERS=172.17.0.1", bridge, err)
}

func (f *Forwarder) listen(address, port string) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, port))
	if err != nil {
		return nil, fmt.Errorf("opening the local AWS for containers: %w", err)
	}
	f.listeners = append(f.listeners, l)
	return l, nil
}

// forward forwards every connection to the address, unchanged.
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
				_ = out.(*net.TCPConn).CloseWrite() // data in the other direction still arrives
			}()
			_, _ = io.Copy(in, out)
		}()
	}
}

// serveFile responds to every request with one public file.
func serveFile(on net.Listener, path string) {
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, path)
	})}
	_ = server.Serve(on) // ends when the listener is closed
}

// writeEnvironment writes the file for --env-vars: the variables by function. SAM passes on only
// the variables that the template declares. Without this file, a reference to a table is the
// table's logical id.
func (f *Forwarder) writeEnvironment(functions map[string]map[string]string, replacements map[string]string) error {
	all := map[string]map[string]string{}
	for id, variables := range functions {
		all[id] = map[string]string{}
		for name, value := range variables {
			if replacement, ok := replacements[name]; ok {
				value = replacement
			}
			all[id][name] = value
		}
	}
	content, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.envFile), 0o755); err != nil {
		return err
	}
	return os.WriteFile(f.envFile, append(content, '\n'), 0o600) // it holds the identity key
}
