package docspage

import (
	"fmt"
	"testing"

	"altinn.no/instanceapi/tests/local/scanner"
)

// TestConsoleScan uploads content in the console, and sees the malware scan: it is pending, then
// clean or infected. The console shows why infected content cannot be downloaded.
func TestConsoleScan(t *testing.T) {
	if _, err := find(); err != nil {
		t.Fatal(err)
	}
	s := startDemo(t, map[string]string{"MalwareScan": "guardduty"})
	c := openConsole(t, 1400, 1000)
	c.navigate(s.BaseURL + "/")
	c.until(`document.querySelector("#step")?.options.length === 4`)
	c.click("#create button")
	c.shows("#steps [aria-current=step]", "FormFilling")

	badge := func(n int, status string) {
		t.Helper()
		c.until(fmt.Sprintf(`document.querySelector("#data > li:nth-child(%d)")?.innerText.includes("scan: %s")`, n, status))
	}
	c.write("#text", `{"timer": 37, "note": "SCAN-LATE"}`)
	c.click("#upload button")
	badge(1, "pending")
	c.click("#data li:nth-child(1) button[id^=download]")
	c.shows("#result", "data-unscanned")
	c.shows("#data > li:nth-child(1)", "data-unscanned")

	c.must(c.Evaluate(`(form => (form.value = "attachment", true))(document.querySelector("#form-id"))`, new(bool)))
	c.must(c.Evaluate(`(type => (type.value = "application/pdf", true))(document.querySelector("#content-type"))`, new(bool)))
	c.write("#text", scanner.EICAR())
	c.click("#upload button")
	badge(2, "infected")
	c.click("#data li:nth-child(2) button[id^=download]")
	c.shows("#result", "data-infected")
	c.shows("#data > li:nth-child(2)", "data-infected")
	c.screenshot("scan")

	badge(1, "clean") // without a click
	c.until(`!document.querySelector("#data > li:nth-child(1)").innerText.includes("data-unscanned")`)
	c.click("#data li:nth-child(1) button[id^=download]")
	c.shows("#content-text", "SCAN-LATE")
}
