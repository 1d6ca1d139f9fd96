package api

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
)

// route is one thing to ask for.
type route struct {
	method, path string
	summary      string
	body, answer any // of which type; nil: none
	do           func(*api, *http.Request) (any, error)
	stream       func(*api, http.ResponseWriter, *http.Request) // in place of do
}

const nodePath = "/api/clusters/{cluster}/nodes/{node}"

// routes are all of them. The handler and the OpenAPI document are made of it.
var routes []route

func init() { // document tells of routes
	routes = []route{
		{"GET", "/api/status", "This replica, its clusters and their nodes", nil, Status{}, (*api).status, nil},
		{"GET", "/api/status/stream", "The same once a second, as server-sent events called status, and between them what /api/events tells", nil, Status{}, nil, (*api).stream},
		{"GET", nodePath, "One node", nil, Node{}, (*api).node, nil},
		{"PUT", nodePath, "Add a node, or replace the one of that name", NodeSettings{}, Node{}, (*api).putNode, nil},
		{"DELETE", nodePath, "Take a node away: its sessions end with their next requests. One that has sessions and is not drained is refused with 409, unless the query has force", nil, Done{}, (*api).removeNode, nil},
		{"POST", nodePath + "/drain", "Give a node no new sessions, and end those that it has after a deadline", DrainSettings{}, Node{}, (*api).drain, nil},
		{"DELETE", nodePath + "/drain", "Give a node new sessions again", nil, Node{}, (*api).undrain, nil},
		{"PUT", "/api/clusters/{cluster}/release", "Give nodes with a label a share of the new sessions, in place of what the configuration says", Release{}, Cluster{}, (*api).putRelease, nil},
		{"DELETE", "/api/clusters/{cluster}/release", "Have the configuration's release hold again", nil, Cluster{}, (*api).removeRelease, nil},
		{"POST", "/api/reload", "Read the configuration again", nil, Done{}, (*api).reload, nil},
		{"GET", "/api/sessions/{sid}", "Where a session lives", nil, Session{}, (*api).session, nil},
		{"GET", "/api/sessions/{sid}/trace", "What all replicas know of a session, or why nobody does; also by the beginning of its sid, if this replica remembers it", nil, Trace{}, (*api).trace, nil},
		{"POST", "/api/sessions/{sid}/move", "Move a session, whose WebSocket this replica has or which polls, to another node", MoveSettings{}, Move{}, (*api).move, nil},
		{"GET", "/api/sessions/{sid}/packets", "The packets of a session, whose WebSocket this replica has, as they pass: server-sent events called packet", nil, Packet{}, nil, (*api).packets},
		{"GET", "/api/events", "What happens, as server-sent events; those that have just happened come first", nil, Event{}, nil, (*api).events},
		{"GET", "/api/openapi.json", "This document", nil, nil, (*api).document, nil},
	}
}

type object = map[string]any

// Document returns the OpenAPI 3.1 document of the API.
func Document() any {
	schemas, paths := object{}, object{}
	for _, r := range routes {
		contentType := "application/json"
		if r.stream != nil {
			contentType = "text/event-stream"
		}
		ok := object{"description": "Done"}
		if r.answer != nil {
			ok["content"] = object{contentType: object{"schema": schema(reflect.TypeOf(r.answer), schemas)}}
		}
		failed := object{"description": "What is wrong", "content": object{"application/json": object{"schema": schema(reflect.TypeFor[Failure](), schemas)}}}
		op := object{"summary": r.summary, "operationId": operation(r), "responses": object{"200": ok, "default": failed}}
		if r.body != nil {
			op["requestBody"] = object{"content": object{"application/json": object{"schema": schema(reflect.TypeOf(r.body), schemas)}}}
		}
		op["security"] = []any{object{"token": []string{}}}
		if r.method == http.MethodGet {
			op["security"] = []any{object{}, object{"token": []string{}}} // it may be left out
		}
		var parameters []any
		for part := range strings.SplitSeq(r.path, "/") {
			if name, found := strings.CutPrefix(part, "{"); found {
				parameters = append(parameters, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
			}
		}
		if parameters != nil {
			op["parameters"] = parameters
		}
		if paths[r.path] == nil {
			paths[r.path] = object{}
		}
		paths[r.path].(object)[strings.ToLower(r.method)] = op
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "sidway", "version": "1", "description": "What operators and programs ask of a running replica, and change of its clusters."},
		"paths":   paths,
		"components": object{
			"schemas":         schemas,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "admin.token: for changes, and for all that clients on other machines than the replica's ask. Without one it answers those on its own machine alone"}},
		},
	}
}

// operation names a route as clients that are made of the document name its function.
func operation(r route) string {
	words := []string{strings.ToLower(r.method)}
	for part := range strings.SplitSeq(r.path, "/") {
		if part != "" && part != "api" && !strings.HasPrefix(part, "{") {
			words = append(words, strings.ToUpper(part[:1])+strings.TrimSuffix(part[1:], ".json"))
		}
	}
	return strings.Join(words, "")
}

// schema returns the JSON schema of a type, and puts those of structs into schemas.
func schema(t reflect.Type, schemas object) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return schema(t.Elem(), schemas)
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": schema(t.Elem(), schemas)}
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": schema(t.Elem(), schemas)}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() == reflect.String:
		return object{"type": "string"}
	case t.Kind() == reflect.Float64:
		return object{"type": "number"}
	case t.Kind() != reflect.Struct:
		return object{"type": "integer"}
	}
	reference := object{"$ref": "#/components/schemas/" + t.Name()}
	if schemas[t.Name()] != nil {
		return reference
	}
	properties, required := object{}, []string{}
	schemas[t.Name()] = object{"type": "object", "properties": properties}
	for f := range fields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := schema(f.Type, schemas)
		if doc := f.Tag.Get("doc"); doc != "" {
			s["description"] = doc
		}
		properties[name] = s
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	if slices.Sort(required); len(required) > 0 {
		schemas[t.Name()].(object)["required"] = required
	}
	return reference
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
