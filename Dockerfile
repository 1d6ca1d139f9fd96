# The gateway: one static binary and the certificates of public authorities, for a Redis behind TLS. It needs BuildKit.
#
#   docker build -t sidway --build-arg VERSION=1.2.3 . && docker run -p 8080:8080 -e SIDWAY_NODES=… sidway
#   docker buildx build --platform linux/amd64,linux/arm64 …
FROM --platform=$BUILDPLATFORM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY engineio engineio
COPY affinity affinity
COPY gateway gateway
COPY cmd/sidway cmd/sidway
ARG TARGETOS TARGETARCH VERSION
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags="-s -w -X main.stamp=$VERSION" -o /out/sidway ./cmd/sidway

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/sidway /usr/local/bin/sidway
ARG VERSION REVISION
LABEL org.opencontainers.image.title="sidway" \
      org.opencontainers.image.description="A gateway for Socket.IO clusters" \
      org.opencontainers.image.source="https://github.com/sidway/sidway" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
ENV PATH=/usr/local/bin
USER 65532:65532
EXPOSE 8080 9090
ENTRYPOINT ["/usr/local/bin/sidway"]
CMD ["serve"]
