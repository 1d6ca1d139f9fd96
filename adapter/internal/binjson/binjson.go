// Package binjson has binary in JSON as {"$bin": base64}, as the programs that the adapter's tests talk to write and read it.
package binjson

import (
	"encoding/base64"
	"io"

	"github.com/zishang520/engine.io/v2/types"
)

// Pack returns v with its binary, []byte or what the library hands to handlers, in that form.
func Pack(v any) any {
	switch v := v.(type) {
	case []byte:
		return map[string]any{"$bin": base64.StdEncoding.EncodeToString(v)}
	case types.BufferInterface:
		b, _ := io.ReadAll(v.Clone())
		return Pack(b)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = Pack(e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = Pack(e)
		}
		return m
	}
	return v
}

// Unpack reads what Pack writes: binary becomes []byte. Lists and objects are changed in place.
func Unpack(v any) any {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			v[i] = Unpack(e)
		}
	case map[string]any:
		if s, ok := v["$bin"].(string); ok {
			b, _ := base64.StdEncoding.DecodeString(s)
			return b
		}
		for k, e := range v {
			v[k] = Unpack(e)
		}
	}
	return v
}
