// A webhook handler as the provider's guide shows it: the provider's SDK over the raw body, one
// insert under a unique event id, then 200. One process, as `node` runs it.
import express from 'express';
import Stripe from 'stripe';

const [, , store, place, port] = process.argv;
const { keep } = await (await import(`./${store}.mjs`)).open(place);
const secret = process.env.STRIPE_WEBHOOK_SECRET;
const { webhooks } = new Stripe('sk_test_unused');

const app = express();
app.get('/', (_request, response) => response.sendStatus(200));
app.post('/in/stripe', express.raw({ type: 'application/json' }), async (request, response) => {
  let event;
  try {
    event = webhooks.constructEvent(request.body, request.headers['stripe-signature'], secret);
  } catch {
    return response.sendStatus(400);
  }
  await keep(event.id, request.body);
  response.sendStatus(200);
});
app.listen(Number(port), '127.0.0.1');
