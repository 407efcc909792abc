package application

// The values of DataType.Scan. They have no effect if the system does not scan.
const (
	ScanOff   = "off"   // content is not scanned
	ScanBlock = "block" // content is handed out only when it is clean
)

// The values of DataType.Unscannable.
const (
	UnscannableBlock = "block" // content that the scanner cannot read is not handed out
	UnscannableAllow = "allow"
)

// Scanning says how the system treats the content of a data element. It is chosen before the
// content is stored, so that the element and the tag of the stored object agree.
type Scanning string

// The values of Scanning.
const (
	NoScanning      Scanning = ""        // the system does not scan
	ScanningExempt  Scanning = "off"     // the system scans, but not data of this type
	ScanningStrict  Scanning = "block"   // only clean content is handed out
	ScanningLenient Scanning = "lenient" // content that the scanner cannot read is handed out too
)

// Scans reports whether content is pending until its scan has a result.
func (s Scanning) Scans() bool { return s == ScanningStrict || s == ScanningLenient }

// Scanning returns how a system that scans treats content of the type.
func (t DataType) Scanning() Scanning {
	switch {
	case t.Scan == ScanOff:
		return ScanningExempt
	case t.Unscannable == UnscannableAllow:
		return ScanningLenient
	default:
		return ScanningStrict
	}
}

// Tag returns the tag of the stored object, in the form of S3's header x-amz-tagging, or "" for
// none. The policy of the bucket reads it.
func (s Scanning) Tag() string {
	if s == ScanningExempt || s == ScanningLenient {
		return "scan=" + string(s)
	}
	return ""
}
