# heatsink as a container: `docker build -t heatsink .`, then
# `docker run -p 6380:6380 -p 9380:9380 heatsink --upstream redis://10.0.0.5:6379`.
# It runs as a user without rights, writes nothing to disk, and so works with a read-only root.

FROM node:24-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
COPY scripts scripts
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production \
    HEATSINK_LISTEN=0.0.0.0:6380 \
    HEATSINK_ADMIN=0.0.0.0:9380
WORKDIR /app
COPY --from=dependencies /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE ./
USER node
EXPOSE 6380 9380
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["node", "dist/cli.js", "healthcheck"]
# heatsink answers what is in flight when it is told to stop; shutdownTimeout bounds that.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "dist/cli.js"]
