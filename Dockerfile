# Gatehouse as a container image. Not run by us: there is no Docker where it is built. test/docs/packaging.test.ts executes
# these steps in order in a plain folder, starts the result, and asks it whether it is ready.

# Debian, because the prebuilt argon2 and PostgreSQL want glibc; the tag follows the security patches of Node 24.
FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The image has its own Node 24: the copy that npm brings along for older ones would only be weight.
RUN npm ci --omit=dev && rm -rf node_modules/node-linux-*

FROM node:24-slim
# A fixed number, so that a volume can be given to it: docker run -v, Kubernetes' runAsUser.
RUN groupadd --system --gid 10001 gatehouse && useradd --system --uid 10001 --gid gatehouse --no-create-home --home-dir /app gatehouse
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY bin bin
COPY src src
COPY migrations migrations
COPY views views
# Only the embedded database writes here; with DATABASE_URL nothing does.
RUN mkdir data && chown gatehouse:gatehouse data && chmod 700 data
USER gatehouse
# A container's loopback address cannot be reached from outside of it, whatever the issuer is.
ENV NODE_ENV=production HOST=0.0.0.0
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Requests under way are finished first: give it more than ten seconds (docker stop -t 20).
STOPSIGNAL SIGTERM
# Run it with an init (docker run --init, compose's init: true), which reaps what an embedded database leaves behind.
ENTRYPOINT ["node", "bin/gatehouse.mjs"]
CMD ["start"]
