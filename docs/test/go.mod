// What the pages are checked with: a reader of Markdown, which the gateway does not need.
module github.com/sidway/sidway/docs/test

go 1.26.0

require github.com/yuin/goldmark v1.8.7
