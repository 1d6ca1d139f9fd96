package gateway

import "github.com/sidway/sidway/gateway/request"

// Header is one field of a head, for NewHeaders.
type Header = request.Header

// NewHeaders returns what Route.Headers is: these fields in the place of all that have their names, and those to remove taken out.
func NewHeaders(set []Header, remove []string) (*request.Headers, error) {
	return request.NewHeaders(set, remove)
}
