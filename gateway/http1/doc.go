// Package http1 reads and writes HTTP/1.1 as a gateway must: strict heads and bodies on both sides, from bytes that arrive in
// pieces, without an allocation per head or per piece of a body. It does no I/O and starts no goroutine.
//
//	var scan http1.Scan
//	var q http1.Request
//	n, err := scan.Request(in) // 0: wait for more
//	…
//	err = q.Parse(in[:n])
//	body := q.Body()
//	data, used, err := body.Next(in[n:]) // until body.Done()
//
// What is refused is what two HTTP parsers have been seen to read differently (RFC 9112 sections 2.2, 3, 5, 6, 7
// and 11.2): where the RFC lets a recipient be lenient or strict, this package is strict. It tolerates one empty line
// before a request line (RFC 9112 section 2.2), a status line without reason phrase, with or without the space
// before it (section 4), bytes from 0x80 in field values and reason phrases (obs-text), spaces and tabs around field
// values (OWS), empty elements in lists, and any visible ASCII in a target but '#'.
//
// It does not route, does not judge paths and queries, follows no redirects, decodes no content coding, and passes
// neither trailers nor chunk extensions on.
package http1
