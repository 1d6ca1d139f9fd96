package http1

// Error says why a head or a body is refused. Status is the answer for the client: 400, 408, 417, 431 or 505 for what
// a client sent, always 502 for what a node sent. Reason names what to mend; it is one of a closed set of texts and
// never quotes the input. After an Error nothing more can be read from the connection.
type Error struct {
	Status int
	Reason string
}

// Error returns the reason with the package's name before it.
func (e *Error) Error() string { return "http1: " + e.Reason }

// asError keeps a nil *Error from becoming an error that is not nil.
func (e *Error) asError() error {
	if e == nil {
		return nil
	}
	return e
}

// fromNode turns the refusal of a client's bytes into that of a node's.
func (e *Error) fromNode() *Error { return &Error{Status: 502, Reason: e.Reason} }

var (
	// ErrHeadTime is for a head whose end did not come in the time that the caller allows.
	ErrHeadTime     = &Error{408, "the head did not come in time"}
	errHeadSize     = &Error{431, "the head is larger than 32 KiB"}
	errFieldCount   = &Error{431, "the head has more than 100 fields"}
	errBareLF       = &Error{400, "a line of the head ends with a bare LF; it must end with CR LF"}
	errRequestLine  = &Error{400, "the request line is not: method, one space, target, one space, HTTP/1.1"}
	errMethod       = &Error{400, "the method is not a token"}
	errConnect      = &Error{400, "CONNECT is not served"}
	errVersion      = &Error{505, "the HTTP version is neither 1.0 nor 1.1"}
	errVersionForm  = &Error{400, "the HTTP version is malformed"}
	errTarget       = &Error{400, "the target has a byte that is not visible ASCII, or a '#'"}
	errTargetForm   = &Error{400, "the target is neither a path, an http URI, nor the * of OPTIONS"}
	errAuthority    = &Error{400, "the target's authority is not the Host"}
	errFold         = &Error{400, "a field is folded over lines"}
	errFieldName    = &Error{400, "a field name is empty, not a token, or not followed by its colon at once"}
	errFieldValue   = &Error{400, "a field value has a control byte"}
	errHostMissing  = &Error{400, "the Host field is missing"}
	errHostRepeated = &Error{400, "the Host field is repeated"}
	errHost         = &Error{400, "the Host is not a name or address with an optional port"}
	errLength       = &Error{400, "Content-Length is not a number"}
	errLengthTwice  = &Error{400, "Content-Length is repeated"}
	errLengthCoding = &Error{400, "Content-Length and Transfer-Encoding together"}
	errCoding       = &Error{400, "Transfer-Encoding is not one chunked"}
	errCodingOld    = &Error{400, "Transfer-Encoding in HTTP/1.0"}
	errOptions      = &Error{400, "Connection has more than 100 options"}
	errExpect       = &Error{417, "an expectation other than 100-continue"}

	errStatusLine = &Error{502, "the status line is not: HTTP/1.1, one space, three digits"}
	errNoBody     = &Error{502, "a body is announced where a status allows none"}

	errUpgradeMethod  = &Error{400, "a WebSocket is asked for with another method than GET"}
	errUpgradeVersion = &Error{400, "a WebSocket is asked for in HTTP/1.0"}
	errUpgradeFields  = &Error{400, "a WebSocket needs Connection: upgrade and Upgrade: websocket alone"}
	errUpgradeBody    = &Error{400, "a WebSocket is asked for with a body"}
	errSocketVersion  = &Error{400, "Sec-WebSocket-Version is not 13"}
	errSocketKey      = &Error{400, "Sec-WebSocket-Key is not 16 bytes in base64"}
	errNoSwitch       = &Error{502, "the answer to an upgrade does not switch to websocket alone"}
	errSocketAccept   = &Error{502, "Sec-WebSocket-Accept does not fit the key"}

	errChunkSize    = &Error{400, "a chunk size is not hexadecimal digits"}
	errChunkLarge   = &Error{400, "a chunk size is too large"}
	errChunkExt     = &Error{400, "a chunk extension is malformed or too long"}
	errChunkLine    = &Error{400, "a chunk size line does not end with CR LF"}
	errChunkEnd     = &Error{400, "a chunk is not followed by CR LF"}
	errTrailer      = &Error{400, "a trailer is malformed"}
	errTrailerLarge = &Error{431, "the trailers are larger than 8 KiB"}
)
