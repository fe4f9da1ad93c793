# The container image, for machines that are not Debian 12 or have no buildah: the same files as `make image`
# collects, built in a container of Debian 12.
#
#   docker build --tag callboard:0.1.0 .
#   docker build --target sbom --output build/image .     the list of what is in it (SPDX)
#
# --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) gives the files the time of the last commit, as
# `make image` does. --build-arg DEBIAN=registry.example/debian:12 takes the base from elsewhere.
ARG DEBIAN=docker.io/library/debian:12

FROM ${DEBIAN} AS build
WORKDIR /callboard
# A layer of its own: it changes seldom.
COPY hack hack
RUN hack/deps image
COPY . .
ARG VERSION=0.1.0
ARG SOURCE_DATE_EPOCH=0
RUN make -j"$(nproc)" VERSION="$VERSION" image-files FOLDER=/image

FROM scratch AS sbom
COPY --from=build /image/usr/share/doc/callboard/callboard.spdx.json /

FROM scratch
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title=callboard \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /image /
ENV PATH=/usr/bin
USER 65532:65532
CMD ["callboard-webhook", "--help"]
