// The libraries that people really use, on both sides of a running gateway: Stripe's signs what
// comes in, Standard Webhooks' and Svix's verify what goes out.
//
// Run by ./test, which installs them. COUNTERSIGN is the binary, SDK_NODE the folder with
// node_modules, SDK_PYTHON the interpreter that has the Python libraries.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { verify } from 'node:crypto';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { asymmetric, secrets, start, until } from './gateway.mjs';

const load = createRequire(path.join(path.resolve(process.env.SDK_NODE), 'package.json'));
const Stripe = load('stripe');
const standardwebhooks = load('standardwebhooks');
const svix = load('svix');

const stripe = new Stripe('sk_test_sdk');
const now = Math.floor(Date.now() / 1000);

const event = (id, type, object) =>
  JSON.stringify({
    id,
    object: 'event',
    api_version: '2025-06-30.basil',
    created: now,
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type,
    data: { object },
  });

const intent = (id) => ({
  id,
  object: 'payment_intent',
  amount: 2000,
  amount_received: 2000,
  currency: 'eur',
  livemode: false,
  metadata: {},
  status: 'succeeded',
});

const signedBy = (secret, payload, timestamp) => ({
  'stripe-signature': stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp }),
});

let gateway;
before(async () => (gateway = await start(process.env.COUNTERSIGN)));
after(() => gateway?.stop());

/** The one delivery of the event with this id of the provider. */
const delivered = (id) =>
  until(`${id} is delivered`, () =>
    gateway.deliveries.find(({ body }) => JSON.parse(body).data?.id === id),
  );

describe('what Stripe’s library signs', () => {
  for (const [id, type] of [
    ['evt_sdk_1', 'payment_intent.succeeded'],
    ['evt_sdk_2', 'payment_intent.payment_failed'],
    ['evt_sdk_3', 'payment_intent.canceled'],
  ]) {
    test(`is accepted and delivered: ${type}`, async () => {
      const payload = event(id, type, intent(`pi_${id}`));
      const answer = await gateway.post('stripe', signedBy(secrets.stripe, payload), payload);
      assert.equal(answer.status, 200);
      const document = JSON.parse((await delivered(id)).body);
      assert.equal(document.type, type);
      assert.equal(document.source, 'stripe');
      assert.equal(Buffer.from(document.body_base64, 'base64').toString(), payload);
    });
  }

  test('is delivered once, however often it is sent', async () => {
    const payload = event('evt_sdk_again', 'payment_intent.succeeded', intent('pi_again'));
    for (const age of [0, 1, 2]) {
      const headers = signedBy(secrets.stripe, payload, now - age);
      assert.equal((await gateway.post('stripe', headers, payload)).status, 200);
    }
    await delivered('evt_sdk_again');
    const last = event('evt_sdk_last', 'payment_intent.succeeded', intent('pi_last'));
    await gateway.post('stripe', signedBy(secrets.stripe, last), last);
    await delivered('evt_sdk_last');
    const ids = gateway.deliveries.map(({ body }) => JSON.parse(body).data?.id);
    assert.equal(ids.filter((id) => id === 'evt_sdk_again').length, 1);
  });

  test('is refused with another secret, another body, or an old or future time', async () => {
    const payload = event('evt_sdk_forged', 'payment_intent.succeeded', intent('pi_forged'));
    const forged = payload.replace('2000', '9000');
    const refusals = [
      [signedBy('whsec_test_sdk_other_secret', payload), payload],
      [signedBy(secrets.stripe, payload), forged],
      [signedBy(secrets.stripe, payload, now - 3600), payload],
      [signedBy(secrets.stripe, payload, now + 3600), payload],
      [{}, payload],
    ];
    for (const [headers, body] of refusals) {
      assert.equal((await gateway.post('stripe', headers, body)).status, 401);
    }
    const ids = gateway.deliveries.map(({ body }) => JSON.parse(body).data?.id);
    assert.ok(!ids.includes('evt_sdk_forged'));
  });
});

test('what the standardwebhooks library signs is accepted and delivered', async () => {
  const payload = JSON.stringify({ type: 'invoice.paid', timestamp: new Date(), data: { id: 'x' } });
  const headers = {
    'webhook-id': 'msg_sdk_1',
    'webhook-timestamp': String(now),
    'webhook-signature': new standardwebhooks.Webhook(secrets.partner).sign(
      'msg_sdk_1',
      new Date(now * 1000),
      payload,
    ),
  };
  assert.equal((await gateway.post('partner', headers, payload)).status, 200);
  await until('it is delivered', () =>
    gateway.deliveries.find(({ body }) => JSON.parse(body).source === 'partner'),
  );
  const changed = payload.replace('paid', 'void');
  assert.equal((await gateway.post('partner', headers, changed)).status, 401);
});

describe('what the gateway delivers', () => {
  const forgeries = ({ headers, body }) => [
    { headers, body: Buffer.concat([body, Buffer.from(' ')]) },
    { headers: { ...headers, 'webhook-id': `${headers['webhook-id']}0` }, body },
    {
      headers: { ...headers, 'webhook-timestamp': String(headers['webhook-timestamp'] - 1) },
      body,
    },
    { headers: { ...headers, 'webhook-signature': `v1,${Buffer.alloc(32).toString('base64')}` }, body },
  ];

  for (const [name, library] of Object.entries({ standardwebhooks, svix })) {
    test(`is verified by npm ${name}, and its forgeries are refused`, () => {
      assert.ok(gateway.deliveries.length >= 5);
      const own = new library.Webhook(secrets.application);
      const other = new library.Webhook(secrets.other);
      for (const delivery of gateway.deliveries) {
        const document = own.verify(delivery.body.toString(), delivery.headers);
        assert.ok(document.id === delivery.headers['webhook-id']);
        assert.throws(() => other.verify(delivery.body.toString(), delivery.headers));
        for (const { headers, body } of forgeries(delivery)) {
          assert.throws(() => own.verify(body.toString(), headers), library.WebhookVerificationError);
        }
      }
    });
  }

  test('is verified by PyPI standardwebhooks and svix, and its forgeries are refused', () => {
    const deliveries = gateway.deliveries.map(({ headers, body }) => ({
      headers: Object.fromEntries(
        ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => [name, headers[name]]),
      ),
      body: body.toString('base64'),
    }));
    const script = fileURLToPath(new URL('verify.py', import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.env.SDK_PYTHON, [script], {
      input: JSON.stringify({
        secret: secrets.application,
        other_secret: secrets.other,
        deliveries,
      }),
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    const verdicts = JSON.parse(stdout);
    assert.deepEqual(Object.keys(verdicts), ['standardwebhooks', 'svix']);
    for (const { taken, forged, refused } of Object.values(verdicts)) {
      assert.equal(taken, deliveries.length);
      assert.equal(forged, deliveries.length * 5);
      assert.equal(refused, forged);
    }
  });
});

describe('what the gateway delivers to an endpoint with three secrets, a prefix and a header', () => {
  const payload = event('evt_sdk_renamed', 'payment_intent.succeeded', intent('pi_renamed'));
  let delivery;
  before(async () => {
    await gateway.post('stripe', signedBy(secrets.stripe, payload), payload);
    delivery = await until('it is delivered', () =>
      gateway.renamed.find(({ body }) => JSON.parse(body).data?.id === 'evt_sdk_renamed'),
    );
  });

  test('is verified with the old secret, with the next one, and with no other', () => {
    const body = delivery.body.toString();
    for (const secret of [secrets.renamed, secrets.next]) {
      assert.ok(new svix.Webhook(secret).verify(body, delivery.headers));
      const headers = Object.fromEntries(
        ['id', 'timestamp', 'signature'].map((end) => [`webhook-${end}`, delivery.headers[`svix-${end}`]]),
      );
      assert.ok(new standardwebhooks.Webhook(secret).verify(body, headers));
    }
    assert.throws(() => new svix.Webhook(secrets.application).verify(body, delivery.headers));
  });

  test('carries an Ed25519 signature that node verifies with the key that is shown', () => {
    const [, signature] = delivery.headers['svix-signature'].match(/(?:^| )v1a,(\S+)/);
    const head = `${delivery.headers['svix-id']}.${delivery.headers['svix-timestamp']}.`;
    const verifies = (...parts) =>
      verify(null, Buffer.concat(parts), asymmetric.publicKey, Buffer.from(signature, 'base64'));
    assert.ok(verifies(Buffer.from(head), delivery.body));
    assert.ok(!verifies(Buffer.from(head), delivery.body, Buffer.from(' ')));
    assert.ok(!verifies(Buffer.from(`1${head}`), delivery.body));
    assert.ok(gateway.run('endpoints', 'show', 'renamed').includes(asymmetric.shown));
  });

  test('carries the header, whose value is shown nowhere', () => {
    assert.equal(delivery.headers['x-api-key'], secrets.apiKey);
    assert.ok(gateway.run('endpoints', 'show', 'renamed').includes('x-api-key'));
    for (const words of [gateway.run('endpoints', 'show', 'renamed'), gateway.said()]) {
      for (const secret of [secrets.apiKey, secrets.renamed, secrets.next, asymmetric.secret]) {
        assert.ok(!words.includes(secret));
      }
    }
  });
});
