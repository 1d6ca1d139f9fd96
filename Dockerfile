# The gateway: docker build -t sidway . && docker run -p 8080:8080 -e SIDWAY_NODES=… sidway
FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w" -o /out/sidway ./cmd/sidway

FROM alpine:3.22
COPY --from=build /out/sidway /usr/local/bin/sidway
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/sidway"]
CMD ["serve"]
