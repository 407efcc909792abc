package coldstart

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

func TestSystemRoots(t *testing.T) {
	folder := t.TempDir()
	bundle, empty := filepath.Join(folder, "bundle.pem"), filepath.Join(folder, "empty.pem")
	if err := os.WriteFile(bundle, amazonRoots, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(empty, []byte("# no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := x509.NewCertPool()
	want.AppendCertsFromPEM(amazonRoots)
	for _, tt := range []struct {
		name, file string
		want       *x509.CertPool
	}{
		{"a bundle", bundle, want},
		{"a file without a certificate", empty, nil},
		{"no file", filepath.Join(folder, "none.pem"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := FromMap(map[string]string{"SSL_CERT_FILE": tt.file}).SystemRoots()
			if (got == nil) != (tt.want == nil) || got != nil && !got.Equal(tt.want) {
				t.Errorf("SystemRoots = %v, want %v", got, tt.want)
			}
		})
	}
}
