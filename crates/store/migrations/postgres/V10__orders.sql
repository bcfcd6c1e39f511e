-- Orders: what an application expects to be paid, and where that stands. (`order` is a word of SQL.)
-- What names a person or says what it is for is sealed; looked up by keyed hashes. Amounts are minor units,
-- sixteen bytes with the greatest first, so that they compare as numbers. States: see `OrderState`.
CREATE TABLE orders (
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    id uuid PRIMARY KEY,
    -- Keyed hashes of the application's reference, and of the customer.
    reference_key bytea NOT NULL UNIQUE CHECK (length(reference_key) = 16),
    customer_key bytea CHECK (length(customer_key) = 16),
    provider text,
    source text,
    unit text NOT NULL,
    amount bytea NOT NULL CHECK (length(amount) = 16),
    tolerance bytea NOT NULL CHECK (length(tolerance) = 16),
    expires_at bigint,
    cancelled_at bigint,
    created_at bigint NOT NULL,
    created_by text NOT NULL,
    state smallint NOT NULL CHECK (state BETWEEN 0 AND 12),
    paid bytea NOT NULL CHECK (length(paid) = 16),
    pending bytea NOT NULL CHECK (length(pending) = 16),
    refunded bytea NOT NULL CHECK (length(refunded) = 16),
    -- Everything that is known of its payments.
    facts bytea NOT NULL,
    -- Grows with every state that is told, and with every change at all.
    version bigint NOT NULL,
    revision bigint NOT NULL,
    updated_at bigint NOT NULL,
    sealed_key uuid NOT NULL,
    sealed bytea NOT NULL,
    CHECK (refunded <= paid)
) WITH (fillfactor = 50);
CREATE INDEX orders_due ON orders (expires_at) WHERE expires_at IS NOT NULL AND state IN (0, 1, 11);
CREATE INDEX orders_customer ON orders (customer_key) WHERE customer_key IS NOT NULL;

-- A payment serves one order, for good.
CREATE TABLE payment (
    key bytea PRIMARY KEY CHECK (length(key) = 16),
    order_id uuid NOT NULL
);

-- A copy that is under way moves them, too.
INSERT INTO copied (what, source, after, rows)
SELECT DISTINCT what, source, ''::bytea, 0
FROM (VALUES ('orders'), ('payments')) AS new (what) CROSS JOIN (SELECT DISTINCT source FROM copied) AS known;
