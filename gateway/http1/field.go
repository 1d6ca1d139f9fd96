package http1

// FieldID names a field that this gateway knows. The set is closed; Other stands for all the rest.
type FieldID uint8

// The fields known by number.
const (
	Other FieldID = iota
	Host
	Connection
	ContentLength
	TransferEncoding
	TE
	Trailer
	Upgrade
	Expect
	KeepAlive
	ProxyConnection
	ProxyAuthenticate
	ProxyAuthorization
	HTTP2Settings
	Origin
	Accept
	AcceptEncoding
	AcceptLanguage
	AccessControlRequestMethod
	AccessControlRequestHeaders
	AccessControlAllowOrigin
	AccessControlAllowCredentials
	Authorization
	CacheControl
	ContentType
	ContentEncoding
	Cookie
	SetCookie
	Date
	ETag
	Location
	Referer
	Server
	Vary
	Via
	UserAgent
	CDNLoop
	XRequestID
	SecWebSocketKey
	SecWebSocketVersion
	SecWebSocketAccept
	SecWebSocketProtocol
	SecWebSocketExtensions
	Forwarded
	XForwardedFor
	XForwardedProto
	XForwardedHost
	XForwardedPort
	XForwardedServer
	XRealIP
	fieldIDs
)

var fieldNames = [fieldIDs]string{
	Host:                          "Host",
	Connection:                    "Connection",
	ContentLength:                 "Content-Length",
	TransferEncoding:              "Transfer-Encoding",
	TE:                            "TE",
	Trailer:                       "Trailer",
	Upgrade:                       "Upgrade",
	Expect:                        "Expect",
	KeepAlive:                     "Keep-Alive",
	ProxyConnection:               "Proxy-Connection",
	ProxyAuthenticate:             "Proxy-Authenticate",
	ProxyAuthorization:            "Proxy-Authorization",
	HTTP2Settings:                 "HTTP2-Settings",
	Origin:                        "Origin",
	Accept:                        "Accept",
	AcceptEncoding:                "Accept-Encoding",
	AcceptLanguage:                "Accept-Language",
	AccessControlRequestMethod:    "Access-Control-Request-Method",
	AccessControlRequestHeaders:   "Access-Control-Request-Headers",
	AccessControlAllowOrigin:      "Access-Control-Allow-Origin",
	AccessControlAllowCredentials: "Access-Control-Allow-Credentials",
	Authorization:                 "Authorization",
	CacheControl:                  "Cache-Control",
	ContentType:                   "Content-Type",
	ContentEncoding:               "Content-Encoding",
	Cookie:                        "Cookie",
	SetCookie:                     "Set-Cookie",
	Date:                          "Date",
	ETag:                          "ETag",
	Location:                      "Location",
	Referer:                       "Referer",
	Server:                        "Server",
	Vary:                          "Vary",
	Via:                           "Via",
	UserAgent:                     "User-Agent",
	CDNLoop:                       "CDN-Loop",
	XRequestID:                    "X-Request-ID",
	SecWebSocketKey:               "Sec-WebSocket-Key",
	SecWebSocketVersion:           "Sec-WebSocket-Version",
	SecWebSocketAccept:            "Sec-WebSocket-Accept",
	SecWebSocketProtocol:          "Sec-WebSocket-Protocol",
	SecWebSocketExtensions:        "Sec-WebSocket-Extensions",
	Forwarded:                     "Forwarded",
	XForwardedFor:                 "X-Forwarded-For",
	XForwardedProto:               "X-Forwarded-Proto",
	XForwardedHost:                "X-Forwarded-Host",
	XForwardedPort:                "X-Forwarded-Port",
	XForwardedServer:              "X-Forwarded-Server",
	XRealIP:                       "X-Real-IP",
}

// String returns the field's name in its usual spelling, "" for Other.
func (id FieldID) String() string {
	if id >= fieldIDs {
		return ""
	}
	return fieldNames[id]
}

// FieldSet is a set of known fields.
type FieldSet uint64

// SetOf returns the set of these fields.
func SetOf(ids ...FieldID) FieldSet {
	var s FieldSet
	for _, id := range ids {
		s |= 1 << id
	}
	return s
}

// Has reports whether the field is in the set.
func (s FieldSet) Has(id FieldID) bool { return s>>id&1 != 0 }

// hopByHop are the fields that speak of one connection only. RFC 9110 section 7.6.1 names the first ones; Trailer goes
// with the trailers, Expect is answered by the gateway, the Proxy fields speak to a proxy and this is the last one.
const hopByHop FieldSet = 1<<Connection | 1<<ProxyConnection | 1<<KeepAlive | 1<<TE | 1<<TransferEncoding | 1<<Upgrade |
	1<<Trailer | 1<<Expect | 1<<ProxyAuthenticate | 1<<ProxyAuthorization | 1<<HTTP2Settings

// longestField is the longest known name.
const longestField = len("Access-Control-Allow-Credentials")

// fieldsByLength makes a look-up compare one or two names.
var fieldsByLength = buildFieldsByLength()

func buildFieldsByLength() (t [longestField + 1][]FieldID) {
	for id := Other + 1; id < fieldIDs; id++ {
		n := len(fieldNames[id])
		t[n] = append(t[n], id)
	}
	return t
}

// fieldID returns the number of a name, whatever its case.
func fieldID(name string) FieldID {
	if len(name) > longestField || name == "" {
		return Other
	}
	first := name[0] | 0x20
	for _, id := range fieldsByLength[len(name)] {
		if known := fieldNames[id]; known == name || known[0]|0x20 == first && equalFold(known, name) {
			return id
		}
	}
	return Other
}

// Field is one field of a head. Name and Value alias the memory of the head it was read into.
type Field struct {
	Name, Value string
	ID          FieldID
	// Hop says that the field must not be passed on: it is hop-by-hop (RFC 9110 section 7.6.1), or Connection names
	// it, or its name has a '_' in a request, which other programs take for the '-' of a name that was checked.
	// Connection can name only fields unknown to this package: known ones are either hop-by-hop anyway or end-to-end,
	// and a client that could take Cookie, Host, Content-Length or X-Forwarded-For off a request would choose
	// what the node believes ("hop-by-hop header abuse"; RFC 9110 section 7.6.1 forbids to name those).
	Hop bool
}
