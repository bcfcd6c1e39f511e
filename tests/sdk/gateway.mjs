// A gateway and an application for the SDK tests: real processes and real HTTP on loopback.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
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
  other: `whsec_${Buffer.from('sdk_test_other_012345678').toString('base64')}`,
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

const configuration = (ports, application) => `
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
endpoints = ["app"]

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
`;

/** Starts both; `stop` ends both and removes what they left. */
export async function start(binary) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-sdk-'));
  const application = await startApplication();
  const ports = { public: await freePort(), api: await freePort(), admin: await freePort() };
  const config = path.join(folder, 'countersign.toml');
  await writeFile(config, configuration(ports, application));
  const key = `cs_root_${randomBytes(32).toString('base64url')}\n`;
  await writeFile(path.join(folder, 'countersign.key'), key, { mode: 0o600 });

  const gateway = spawn(binary, ['serve', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env.PATH,
      STRIPE_WEBHOOK_SECRET: secrets.stripe,
      PARTNER_WEBHOOK_SECRET: secrets.partner,
      APP_WEBHOOK_SECRET: secrets.application,
    },
  });
  let said = '';
  gateway.stderr.on('data', (text) => (said += text));
  const stop = async () => {
    if (gateway.exitCode === null) {
      gateway.kill('SIGTERM');
      await once(gateway, 'exit');
    }
    application.stop();
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
  return { post, deliveries: application.deliveries, stop };
}
