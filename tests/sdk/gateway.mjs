// A gateway and an application for the SDK tests: real processes and real HTTP on loopback.

import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const PATIENCE_MS = 20_000;

export const secrets = {
  stripe: 'whsec_test_sdk_0123456789abcdefghijklmnop',
  partner: `whsec_${Buffer.from('sdk_test_partner_0123456').toString('base64')}`,
  application: `whsec_${Buffer.from('sdk_test_application_012').toString('base64')}`,
  renamed: `whsec_${Buffer.from('sdk_test_renamed_01234567').toString('base64')}`,
  next: `whsec_${Buffer.from('sdk_test_application_next').toString('base64')}`,
  apiKey: 'key_test_sdk_0123456789',
  other: `whsec_${Buffer.from('sdk_test_other_012345678').toString('base64')}`,
};

/** An Ed25519 key as a seed and its public key, which is what Standard Webhooks calls `whsk_`. */
const pair = generateKeyPairSync('ed25519');
const tail = (der) => der.subarray(-32);
const seed = tail(pair.privateKey.export({ format: 'der', type: 'pkcs8' }));
const publicBytes = tail(pair.publicKey.export({ format: 'der', type: 'spki' }));
export const asymmetric = {
  secret: `whsk_${Buffer.concat([seed, publicBytes]).toString('base64')}`,
  shown: `whpk_${publicBytes.toString('base64')}`,
  publicKey: pair.publicKey,
};

/** Waits until `ready` gives something true; what it gave. */
export async function until(what, ready) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const got = await ready();
    if (got) return got;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Records every delivery: its headers and its exact bytes. */
async function startApplication() {
  const deliveries = [];
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      deliveries.push({ headers: request.headers, body: Buffer.concat(chunks) });
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}/webhooks`, deliveries, stop };
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

const configuration = (ports, application, renamed) => `
environment = "test"

[server]
public = "127.0.0.1:${ports.public}"
api = "127.0.0.1:${ports.api}"
admin = "127.0.0.1:${ports.admin}"

[store]
url = "sqlite:countersign.db"

[vault]
key = "\${file:countersign.key}"

[[source]]
name = "stripe"
provider = "stripe"
secrets = ["\${env:STRIPE_WEBHOOK_SECRET}"]
endpoints = ["app", "renamed"]

[[source]]
name = "partner"
provider = "standard-webhooks"
secrets = ["\${env:PARTNER_WEBHOOK_SECRET}"]
endpoints = ["app"]

[[endpoint]]
name = "app"
url = "${application.url}"
secret = "\${env:APP_WEBHOOK_SECRET}"
allow_private = true

[[endpoint]]
name = "renamed"
url = "${renamed.url}"
secrets = ["\${env:RENAMED_SECRET}", "\${env:NEXT_SECRET}", "\${env:ASYMMETRIC_SECRET}"]
allow_private = true
header_prefix = "svix"

[endpoint.headers]
X-Api-Key = "\${env:API_KEY}"
`;

/** Starts both; `stop` ends both and removes what they left. */
export async function start(binary) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-sdk-'));
  const application = await startApplication();
  const renamed = await startApplication();
  const ports = { public: await freePort(), api: await freePort(), admin: await freePort() };
  const config = path.join(folder, 'countersign.toml');
  await writeFile(config, configuration(ports, application, renamed));
  const key = `cs_root_${randomBytes(32).toString('base64url')}\n`;
  await writeFile(path.join(folder, 'countersign.key'), key, { mode: 0o600 });

  const env = {
    PATH: process.env.PATH,
    STRIPE_WEBHOOK_SECRET: secrets.stripe,
    PARTNER_WEBHOOK_SECRET: secrets.partner,
    APP_WEBHOOK_SECRET: secrets.application,
    RENAMED_SECRET: secrets.renamed,
    NEXT_SECRET: secrets.next,
    ASYMMETRIC_SECRET: asymmetric.secret,
    API_KEY: secrets.apiKey,
  };
  const gateway = spawn(binary, ['serve', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env,
  });
  let said = '';
  gateway.stderr.on('data', (text) => (said += text));
  const stop = async () => {
    if (gateway.exitCode === null) {
      gateway.kill('SIGTERM');
      await once(gateway, 'exit');
    }
    application.stop();
    renamed.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until('the gateway is ready', async () => {
      if (gateway.exitCode !== null) throw new Error(`the gateway ended:\n${said}`);
      const answer = await fetch(`http://127.0.0.1:${ports.admin}/readyz`).catch(() => null);
      return answer?.ok;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  const post = (source, headers, body) =>
    fetch(`http://127.0.0.1:${ports.public}/in/${source}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
  /** Runs a command beside the gateway: what it printed. */
  const run = (...words) => {
    const { status, stdout, stderr } = spawnSync(binary, ['--config', config, ...words], {
      env,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    return stdout;
  };
  return { post, run, deliveries: application.deliveries, renamed: renamed.deliveries, said: () => said, stop };
}
