// Package http1 reads and writes HTTP/1.1 as a gateway must: strict heads and bodies on both sides, without an
// allocation per head, per piece of a body or per use of a pooled connection.
//
// A client's connection:
//
//	r := http1.NewReader(conn)
//	var q http1.Request
//	for {
//		if err := r.Request(&q, 75*time.Second, 5*time.Second); err != nil {
//			break // io.EOF, ErrIdle, or an *Error to answer before closing
//		}
//		body := r.RequestBody(&q)
//		for !body.Done() {
//			piece, err := body.Next()
//			…
//		}
//	}
//
// A node's connection comes from a Pool, gets the bytes of a request written to it, and is read by Reader.Response
// and Reader.ResponseBody.
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
